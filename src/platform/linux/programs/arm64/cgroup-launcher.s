/*
 * cgroup-launcher CGROUP PROGRAM ...: starts a child in CGROUP that becomes PROGRAM. The launcher stays outside, blocks signals
 * from before the birth, closes its descriptors, and ends like the child: by the same code or signal. A process that moves itself waits for a
 * kernel grace period (7 to 20 ms, versus 0.4 for a birth). It does so only where clone3 is refused, as by some seccomp
 * filters; then the launcher itself becomes PROGRAM. Exit 125 when it could not join: nothing was started.
 */
.include "system.s"

    mov x19, sp                         // argc, argv and the environment are here
    mov x0, #AT_FDCWD
    ldr x1, [x19, #16]                  // argv[1]
    mov x2, #O_DIRECTORY
    movk x2, #O_CLOEXEC >> 16, lsl #16
    mov x8, #SYS_openat
    svc #0
    mov x20, x0                         // the cgroup
    tbnz w0, #31, fail

    sub sp, sp, #96                     // struct clone_args
    mov x0, #-1                         // blocked before the birth: the child may run first, and be heard of
    str x0, [sp]
    mov x0, #SIG_SETMASK
    mov x1, sp
    mov x2, sp
    mov x3, #SIGNAL_SET_BYTES
    mov x8, #SYS_rt_sigprocmask
    svc #0
    ldr x22, [sp]                       // the caller's mask, for the command

    mov x0, #CLONE_INTO_CGROUP_HIGH << 32
    stp x0, xzr, [sp]                   // flags …
    stp xzr, xzr, [sp, #16]
    mov x0, #SIGCHLD
    stp x0, xzr, [sp, #32]              // … exit_signal …
    stp xzr, xzr, [sp, #48]
    stp xzr, xzr, [sp, #64]
    str x20, [sp, #80]                  // … cgroup
    mov x0, sp
    mov x1, #CLONE_ARGS_BYTES
    mov x8, #SYS_clone3
    svc #0
    cbz x0, become                      // the child
    tbnz x0, #63, join_by_writing
    mov x20, x0                         // the child's pid

    mov x0, #0                          // all descriptors: the streams belong to the command alone
    mov w1, #-1
    mov x2, #0
    mov x8, #SYS_close_range
    svc #0

wait:
    mov x0, x20
    mov x1, sp                          // the status goes over clone_args
    mov x2, #0
    mov x3, #0
    mov x8, #SYS_wait4
    svc #0
    cmn x0, #EINTR
    b.eq wait

    ldr w21, [sp]
    ubfx w0, w21, #8, #8                // its exit code …
    ands w20, w21, #0x7f                // … unless a signal ended it
    b.eq exit

    mov x0, #PR_SET_DUMPABLE            // a core file of this process would hide the command's
    mov x1, #0
    mov x8, #SYS_prctl
    svc #0
    stp xzr, xzr, [sp]                  // a sigaction for SIG_DFL
    stp xzr, xzr, [sp, #16]
    mov x0, x20
    mov x1, sp
    mov x2, #0
    mov x3, #SIGNAL_SET_BYTES
    mov x8, #SYS_rt_sigaction
    svc #0
    sub x2, x20, #1                     // this signal only: another one may be pending
    mov x0, #1
    lsl x0, x0, x2
    str x0, [sp]
    mov x0, #SIG_UNBLOCK
    mov x1, sp
    mov x2, #0
    mov x3, #SIGNAL_SET_BYTES
    mov x8, #SYS_rt_sigprocmask
    svc #0
    mov x8, #SYS_getpid
    svc #0
    mov x1, x20
    mov x8, #SYS_kill
    svc #0
    add x0, x20, #128                   // the signal did not end us: exit like a shell
    b exit

join_by_writing:
    mov x0, x20
    adr x1, members_file
    mov x2, #O_WRONLY
    movk x2, #O_CLOEXEC >> 16, lsl #16
    mov x8, #SYS_openat
    svc #0
    tbnz w0, #31, fail
    adr x1, own_pid
    mov x2, #1
    mov x8, #SYS_write
    svc #0
    cmp x0, #1
    b.ne fail

become:
    str x22, [sp]
    mov x0, #SIG_SETMASK
    mov x1, sp
    mov x2, #0
    mov x3, #SIGNAL_SET_BYTES
    mov x8, #SYS_rt_sigprocmask
    svc #0
    ldr x3, [x19]                       // argc
    ldr x0, [x19, #24]                  // argv[2]
    add x1, x19, #24                    // argv + 2
    add x2, x19, x3, lsl #3
    add x2, x2, #16                     // the environment follows the zero that ends argv
    mov x8, #SYS_execve
    svc #0
    cmn x0, #ENOENT
    mov x0, #CANNOT_BE_RUN
    b.ne exit
    add x0, x0, #1                      // NOT_FOUND
exit:
    mov x8, #SYS_exit_group
    svc #0
fail:
    mov x0, #NOT_STARTED
    b exit

members_file:
    .asciz "cgroup.procs"
own_pid:
    .ascii "0"                          // "0" means the writing process
    .zero 2                             // to a whole word
image_end:
