/*
 * executor DIGIT ...: maps the command image (command-image.ts) from descriptor DIGIT, closes every descriptor over 2, ignores
 * the signals of the image's mask, and becomes the first executable path of the image, with the image's arguments and
 * environment. A text file without "#!" is run by /bin/sh. Otherwise it prints the image's message and exits with 127 (not
 * found) or 126 (cannot be run); 125: the image cannot be mapped.
 */
.include "system.s"

    mov rax, [rsp + 16]                 # argv[1]
    movzx r12d, byte ptr [rax]
    sub r12d, '0'                       # the descriptor

    mov edi, r12d                       # its size …
    xor esi, esi
    mov edx, SEEK_END
    mov eax, SYS_lseek
    syscall
    test rax, rax
    js fail
    mov rsi, rax
    mov ebx, 16
    shl rbx, 32                         # … at the address that its pointers assume
    mov rdi, rbx
    mov edx, PROT_READ_WRITE
    mov r10d, MAP_PRIVATE_FIXED
    mov r8d, r12d
    xor r9d, r9d
    mov eax, SYS_mmap
    syscall
    cmp rax, rbx
    jne fail

    mov edi, 3                          # every descriptor over 2
    or esi, -1
    xor edx, edx
    mov eax, SYS_close_range
    syscall
    test eax, eax
    je closed
    mov r12d, 1023                      # a kernel before 5.9: one by one
close_next:
    mov edi, r12d
    mov eax, SYS_close
    syscall
    dec r12d
    cmp r12d, 2
    jne close_next
closed:

    mov r13, [rbx + IMAGE_IGNORED]      # bit 0 is signal 1
    push 0                              # a sigaction that ignores
    push 0
    push 0
    push SIG_IGN
    xor r12d, r12d
next_signal:
    test r13, r13
    je signals_done
    inc r12d
    shr r13, 1
    jnc next_signal
    mov edi, r12d
    mov rsi, rsp
    xor edx, edx
    mov r10d, SIGNAL_SET_BYTES
    mov eax, SYS_rt_sigaction
    syscall
    jmp next_signal
signals_done:

    mov r14, [rbx + IMAGE_PATHS]
    mov r15d, NOT_FOUND                 # unless one of them exists
next_path:
    mov rdi, [r14]
    test rdi, rdi
    je give_up
    add r14, 8
    mov rsi, [rbx + IMAGE_ARGUMENTS]
    mov rdx, [rbx + IMAGE_ENVIRONMENT]
    mov eax, SYS_execve
    syscall
    cmp eax, -ENOENT
    je next_path
    cmp eax, -ENOTDIR
    je next_path
    cmp eax, -ELOOP
    je next_path
    cmp eax, -ENAMETOOLONG
    je next_path
    mov r15d, CANNOT_BE_RUN
    cmp eax, -ENOEXEC
    jne next_path

    mov rsi, [rbx + IMAGE_ARGUMENTS]    # a script: { "/bin/sh", the path, the other arguments }
    mov rax, [r14 - 8]
    mov [rsi], rax
    sub rsi, 8                          # the image keeps this word free
    mov rdi, [rbx + IMAGE_SHELL]
    mov [rsi], rdi
    mov rdx, [rbx + IMAGE_ENVIRONMENT]
    mov eax, SYS_execve
    syscall

give_up:
    mov rsi, [rbx + IMAGE_NOT_FOUND]
    mov rdx, [rbx + IMAGE_NOT_FOUND + 8]
    cmp r15d, NOT_FOUND
    je say
    mov rsi, [rbx + IMAGE_CANNOT_BE_RUN]
    mov rdx, [rbx + IMAGE_CANNOT_BE_RUN + 8]
say:
    mov edi, STDERR
    mov eax, SYS_write
    syscall
    mov edi, r15d
exit:
    mov eax, SYS_exit_group
    syscall
fail:
    mov edi, NOT_STARTED
    jmp exit
image_end:
