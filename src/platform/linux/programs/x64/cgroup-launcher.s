/*
 * cgroup-launcher CGROUP PROGRAM ...: starts a child in CGROUP that becomes PROGRAM. The launcher stays outside, blocks signals
 * from before the birth, closes its descriptors, and ends like the child: by the same code or signal. A process that moves itself waits for a
 * kernel grace period (7 to 20 ms, versus 0.4 for a birth). It does so only where clone3 is refused, as by some seccomp
 * filters; then the launcher itself becomes PROGRAM. Exit 125 when it could not join: nothing was started.
 */
.include "system.s"

    mov rbx, rsp                        # argc, argv and the environment are here
    mov rdi, [rbx + 16]                 # argv[1]
    mov esi, O_DIRECTORY | O_CLOEXEC
    mov eax, SYS_open
    syscall
    mov r12d, eax                       # the cgroup
    test eax, eax
    js fail

    push -1                             # blocked before the birth: the child may run first, and be heard of
    mov eax, SYS_rt_sigprocmask
    mov edi, SIG_SETMASK
    mov rsi, rsp
    mov rdx, rsp
    mov r10d, SIGNAL_SET_BYTES
    syscall
    pop r14                             # the caller's mask, for the command

    push r12                            # struct clone_args from its end: cgroup …
    push 0
    push 0
    push 0
    push 0
    push 0
    push SIGCHLD                        # … exit_signal …
    push 0
    push 0
    push 0
    mov eax, CLONE_INTO_CGROUP_HIGH
    shl rax, 32
    push rax                            # … flags
    mov rdi, rsp
    mov esi, CLONE_ARGS_BYTES
    mov eax, SYS_clone3
    syscall
    test eax, eax
    je become                           # the child
    js join_by_writing
    mov r12d, eax                       # the child's pid

    xor edi, edi                        # all descriptors: the streams belong to the command alone
    mov esi, -1
    xor edx, edx
    mov eax, SYS_close_range
    syscall

wait:
    mov eax, SYS_wait4
    mov edi, r12d
    mov rsi, rsp                        # the status goes over clone_args
    xor edx, edx
    xor r10d, r10d
    syscall
    cmp eax, -EINTR
    je wait

    mov r13d, [rsp]
    mov r12d, r13d
    and r12d, 0x7f                      # the signal that ended it
    jne end_by_signal
    movzx edi, byte ptr [rsp + 1]       # none: its exit code
    jmp exit

end_by_signal:
    mov eax, SYS_prctl                  # a core file of this process would hide the command's
    mov edi, PR_SET_DUMPABLE
    xor esi, esi
    syscall
    push 0                              # a sigaction for SIG_DFL
    push 0
    push 0
    push 0
    mov eax, SYS_rt_sigaction
    mov edi, r12d
    mov rsi, rsp
    xor edx, edx
    mov r10d, SIGNAL_SET_BYTES
    syscall
    lea ecx, [r12 - 1]                  # this signal only: another one may be pending
    mov eax, 1
    shl rax, cl
    mov [rsp], rax
    mov eax, SYS_rt_sigprocmask
    mov edi, SIG_UNBLOCK
    mov rsi, rsp
    xor edx, edx
    mov r10d, SIGNAL_SET_BYTES
    syscall
    mov eax, SYS_getpid
    syscall
    mov edi, eax
    mov esi, r12d
    mov eax, SYS_kill
    syscall
    lea edi, [r12 + 128]                # the signal did not end us: exit like a shell
    jmp exit

join_by_writing:
    mov eax, SYS_openat
    mov edi, r12d
    lea rsi, [rip + members_file]
    mov edx, O_WRONLY | O_CLOEXEC
    syscall
    test eax, eax
    js fail
    mov edi, eax
    lea rsi, [rip + own_pid]
    mov edx, 1
    mov eax, SYS_write
    syscall
    dec eax
    jne fail

become:
    push r14
    mov eax, SYS_rt_sigprocmask
    mov edi, SIG_SETMASK
    mov rsi, rsp
    xor edx, edx
    mov r10d, SIGNAL_SET_BYTES
    syscall
    mov rcx, [rbx]                      # argc
    mov rdi, [rbx + 24]                 # argv[2]
    lea rsi, [rbx + 24]                 # argv + 2
    lea rdx, [rbx + rcx * 8 + 16]       # the environment follows the zero that ends argv
    mov eax, SYS_execve
    syscall
    cmp eax, -ENOENT
    mov edi, CANNOT_BE_RUN
    jne exit
    inc edi                             # NOT_FOUND
exit:
    mov eax, SYS_exit_group
    syscall
fail:
    mov edi, NOT_STARTED
    jmp exit

members_file:
    .asciz "cgroup.procs"
own_pid:
    .ascii "0"                          # "0" means the writing process
image_end:
