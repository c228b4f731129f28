/*
 * pidfd-waiter CGROUP: sleeps until descriptor 9 or 5 is readable, as a pidfd is after its process ends. For 9 it writes
 * "gone\n" to descriptor 8. For 5 it writes "1" to descriptor 3, a cgroup.kill file, and then removes the directory CGROUP
 * as soon as the kernel allows it, within 10 s.
 */
.include "system.s"

.equ KILL_FILE, 3
.equ KILLS_AT, 5
.equ TELLS_ON, 8
.equ TELLS_AT, 9
.equ REMOVE_TRIES, 1000
.equ REMOVE_PAUSE_MS, 10

    mov rbx, [rsp + 16]                 # argv[1]
    mov rax, POLLIN << 32 | KILLS_AT    # two struct pollfd: descriptor, then the events
    push rax
    mov al, TELLS_AT
    push rax
wait:
    mov eax, SYS_poll
    mov rdi, rsp
    mov esi, 2
    mov edx, -1
    syscall
    cmp eax, -EINTR
    je wait

    cmp word ptr [rsp + 14], 0          # the event at KILLS_AT
    jne kill

    push 0x0a656e6f                     # "one\n" …
    mov byte ptr [rsp - 1], 'g'         # … and the byte before it
    mov eax, SYS_write
    mov edi, TELLS_ON
    lea rsi, [rsp - 1]
    mov edx, 5
    syscall
    jmp exit

kill:
    push '1'
    mov eax, SYS_write
    mov edi, KILL_FILE
    mov rsi, rsp
    mov edx, 1
    syscall
    mov ebp, REMOVE_TRIES
remove:
    mov rdi, rbx
    mov eax, SYS_rmdir
    syscall
    cmp eax, -EBUSY
    jne exit                            # it is removed, or cannot be
    xor edi, edi
    xor esi, esi
    mov edx, REMOVE_PAUSE_MS
    mov eax, SYS_poll
    syscall
    dec ebp
    jne remove
exit:
    xor edi, edi
    mov eax, SYS_exit_group
    syscall
image_end:
