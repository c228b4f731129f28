/*
 * launcher PROGRAM ...: becomes PROGRAM as a child subreaper, with every signal at its default. Node leaves SIGPIPE ignored,
 * and a shell leaves SIGINT ignored in background commands. Exit 126 or 127 as in a shell.
 */
.include "system.s"

    mov eax, SYS_prctl
    mov edi, PR_SET_CHILD_SUBREAPER
    mov esi, 1
    xor edx, edx
    xor r10d, r10d
    xor r8d, r8d
    syscall

    mov rbx, rsp                        # argc, argv and the environment are here
    push 0                              # a sigaction of zeros: SIG_DFL
    push 0
    push 0
    push 0
    mov r12d, SIGNAL_LAST
next_signal:
    mov eax, SYS_rt_sigaction
    mov edi, r12d
    mov rsi, rsp
    xor edx, edx
    mov r10d, SIGNAL_SET_BYTES
    syscall
    dec r12d
    jne next_signal
    mov rsp, rbx

    mov rax, [rsp]                      # argc
    mov rdi, [rsp + 16]                 # argv[1]
    lea rsi, [rsp + 16]                 # argv + 1
    lea rdx, [rsp + rax * 8 + 16]       # the environment follows the zero that ends argv
    mov eax, SYS_execve
    syscall
    cmp eax, -ENOENT
    mov edi, CANNOT_BE_RUN
    jne exit
    inc edi                             # NOT_FOUND
exit:
    mov eax, SYS_exit_group
    syscall
image_end:
