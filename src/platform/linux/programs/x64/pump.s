/*
 * pump: copies stdin to descriptor 3 and descriptor 3 to stdout, with 4 KiB of buffer each way. Neither direction blocks the
 * other: a ready pipe takes 4096 bytes (PIPE_BUF). The end of stdin is a half-close: it becomes one byte (end-of-input.ts: 4)
 * on descriptor 3, and the other direction continues until that side ends. It ends at once when its stdout has no reader, even
 * with data waiting. Exit 0: stdin had ended, or stdout's reader is gone; 1: the other side ended first.
 */
.include "system.s"

.equ OTHER_SIDE, 3
.equ BUFFER_BYTES, 4096
.equ END_OF_INPUT, 4
.equ UP_BUFFER, 0x1000                  # stdin to the other side: holds bytes r12 to r12 + r13
.equ DOWN_BUFFER, 0x2000                # the other side to stdout: holds bytes r14 to r14 + r15

    sub rsp, 0x4000
    xor r13d, r13d
    xor r15d, r15d
    xor ebx, ebx                        # 0 while stdin is open, then -1, which poll skips

again:
    mov eax, ebx                        # upwards: wait for input, or for room while the buffer holds data
    bts rax, 32                         # POLLIN << 32
    test r13, r13
    je up_set
    mov rax, POLLOUT << 32 | OTHER_SIDE
up_set:
    mov [rsp], rax
    mov rax, POLLIN << 32 | OTHER_SIDE  # downwards: the same
    test r15, r15
    je down_set
    mov rax, POLLOUT << 32 | STDOUT
down_set:
    mov [rsp + 8], rax
    mov eax, STDOUT                     # and for the end of stdout's reader
    mov [rsp + 16], rax
    mov eax, SYS_poll
    mov rdi, rsp
    mov esi, 3
    mov edx, -1
    syscall

    cmp word ptr [rsp + 22], 0
    je has_reader
    xor edi, edi
    jmp exit
has_reader:
    cmp word ptr [rsp + 6], 0
    je downwards
    test r13, r13
    jne write_up
    xor eax, eax                        # SYS_read
    xor edi, edi                        # STDIN
    lea rsi, [rsp + UP_BUFFER]
    mov edx, BUFFER_BYTES
    mov r12, rsi
    syscall
    test rax, rax
    jne read_up
    mov byte ptr [r12], END_OF_INPUT    # marks the end
    dec ebx
    inc eax
read_up:
    xor edi, edi                        # an error of stdin: exit 0
    call check
    mov r13, rax
    jmp downwards
write_up:
    mov eax, SYS_write
    mov edi, OTHER_SIDE
    mov rsi, r12
    mov rdx, r13
    syscall
    mov edi, 1                          # an error of the other side: exit 1
    call check
    add r12, rax
    sub r13, rax

downwards:
    cmp word ptr [rsp + 14], 0
    je again
    test r15, r15
    jne write_down
    xor eax, eax                        # SYS_read
    mov edi, OTHER_SIDE
    lea rsi, [rsp + DOWN_BUFFER]
    mov edx, BUFFER_BYTES
    mov r14, rsi
    syscall
    lea edi, [rbx + 1]                  # its end: exit 1, or 0 once stdin has ended
    call check
    mov r15, rax
    jmp again
write_down:
    mov eax, SYS_write
    mov edi, STDOUT
    mov rsi, r14
    mov rdx, r15
    syscall
    mov edi, 1
    call check
    add r14, rax
    sub r15, rax
    jmp again

check:                                  # rax: the result of a call; returns bytes, or ends with code edi
    test rax, rax
    jg checked
    je exit
    cmp rax, -EINTR
    je nothing
    cmp rax, -EAGAIN
    jne exit
nothing:
    xor eax, eax
checked:
    ret
exit:
    mov eax, SYS_exit_group
    syscall
image_end:
