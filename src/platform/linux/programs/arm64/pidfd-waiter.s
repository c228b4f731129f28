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
.equ REMOVE_PAUSE_NS, 10000000

    ldr x19, [sp, #16]                  // argv[1]
    mov x20, #0                         // attempts to remove it
    sub sp, sp, #32
    mov x0, #TELLS_AT                   // two struct pollfd: descriptor, then the events
    movk x0, #POLLIN, lsl #32
    mov x1, #KILLS_AT
    movk x1, #POLLIN, lsl #32
    stp x0, x1, [sp]
wait:
    mov x0, sp
    mov x1, #2
    mov x2, #0
    mov x3, #0
    mov x4, #0
    mov x8, #SYS_ppoll
    svc #0
    cmn x0, #EINTR
    b.eq wait

    ldrh w1, [sp, #14]                  // the event at KILLS_AT
    cbnz w1, kill

    mov x0, #0x6f67                     // "go" …
    movk x0, #0x656e, lsl #16           // … "ne" …
    movk x0, #0x0a, lsl #32             // … "\n"
    str x0, [sp, #16]
    mov x0, #TELLS_ON
    mov x2, #5
    b write

kill:
    mov x20, #REMOVE_TRIES
    mov x0, #'1'
    str x0, [sp, #16]
    mov x0, #KILL_FILE
    mov x2, #1
write:
    add x1, sp, #16
    mov x8, #SYS_write
    svc #0

    mov x9, #REMOVE_PAUSE_NS & 0xffff
    movk x9, #REMOVE_PAUSE_NS >> 16, lsl #16
    stp xzr, x9, [sp]                   // a struct timespec
remove:
    cbz x20, exit
    mov x0, #AT_FDCWD
    mov x1, x19
    mov x2, #AT_REMOVEDIR
    mov x8, #SYS_unlinkat
    svc #0
    cmn x0, #EBUSY
    b.ne exit                           // it is removed, or cannot be
    mov x0, sp
    mov x1, #0
    mov x8, #SYS_nanosleep
    svc #0
    sub x20, x20, #1
    b remove
exit:
    mov x0, #0
    mov x8, #SYS_exit_group
    svc #0
image_end:
