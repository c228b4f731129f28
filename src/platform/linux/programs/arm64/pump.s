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
.equ UP_BUFFER, 0x1000                  // stdin to the other side: holds bytes x19 to x19 + x20
.equ DOWN_BUFFER, 0x2000                // the other side to stdout: holds bytes x21 to x21 + x22

    sub sp, sp, #0x4000
    mov x20, #0
    mov x22, #0
    mov x23, #0                         // 0 while stdin is open, then -1, which poll skips

again:
    mov w0, w23                         // upwards: wait for input, or for room while the buffer holds data
    orr x0, x0, #POLLIN << 32
    cbz x20, up_set
    mov x0, #POLLOUT << 32
    movk x0, #OTHER_SIDE
up_set:
    mov x1, #POLLIN << 32               // downwards: the same
    movk x1, #OTHER_SIDE
    cbz x22, down_set
    mov x1, #POLLOUT << 32
    movk x1, #STDOUT
down_set:
    stp x0, x1, [sp]
    mov x0, #STDOUT                     // and for the end of stdout's reader
    str x0, [sp, #16]
    mov x0, sp
    mov x1, #3
    mov x2, #0
    mov x3, #0
    mov x4, #0
    mov x8, #SYS_ppoll
    svc #0

    ldrh w9, [sp, #22]
    mov x10, #0
    cbnz w9, exit
    ldrh w9, [sp, #6]
    cbz w9, downwards
    cbnz x20, write_up
    mov x0, #STDIN
    add x1, sp, #UP_BUFFER
    mov x19, x1
    mov x2, #BUFFER_BYTES
    mov x8, #SYS_read
    svc #0
    cbnz x0, read_up
    mov w9, #END_OF_INPUT               // marks the end
    strb w9, [x19]
    mov x23, #-1
    mov x0, #1
read_up:
    mov x10, #0                         // an error of stdin: exit 0
    bl check
    mov x20, x0
    b downwards
write_up:
    mov x0, #OTHER_SIDE
    mov x1, x19
    mov x2, x20
    mov x8, #SYS_write
    svc #0
    mov x10, #1                         // an error of the other side: exit 1
    bl check
    add x19, x19, x0
    sub x20, x20, x0

downwards:
    ldrh w9, [sp, #14]
    cbz w9, again
    cbnz x22, write_down
    mov x0, #OTHER_SIDE
    add x1, sp, #DOWN_BUFFER
    mov x21, x1
    mov x2, #BUFFER_BYTES
    mov x8, #SYS_read
    svc #0
    add x10, x23, #1                    // its end: exit 1, or 0 once stdin has ended
    bl check
    mov x22, x0
    b again
write_down:
    mov x0, #STDOUT
    mov x1, x21
    mov x2, x22
    mov x8, #SYS_write
    svc #0
    mov x10, #1
    bl check
    add x21, x21, x0
    sub x22, x22, x0
    b again

check:                                  // x0: the result of a call; returns bytes, or ends with code x10
    cmp x0, #0
    b.gt checked
    b.eq exit
    cmn x0, #EINTR
    b.eq nothing
    cmn x0, #EAGAIN
    b.ne exit
nothing:
    mov x0, #0
checked:
    ret
exit:
    mov x0, x10
    mov x8, #SYS_exit_group
    svc #0
image_end:
