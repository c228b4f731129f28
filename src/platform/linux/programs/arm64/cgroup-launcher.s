/*
 * cgroup-launcher CGROUP PROGRAM ...: starts a child in CGROUP that becomes PROGRAM. The launcher stays outside, ignores
 * signals, closes its descriptors, and ends like the child: by the same code or signal. A process that moves itself waits for a
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

    mov x0, #SIG_IGN                    // a sigaction that ignores
    stp x0, xzr, [sp]
    stp xzr, xzr, [sp, #16]
    mov x21, #SIGNAL_LAST
ignore_next:
    cmp x21, #SIGCHLD
    b.eq ignored                        // ignoring it would leave nothing to wait for
    mov x0, x21
    mov x1, sp
    mov x2, #0
    mov x3, #SIGNAL_SET_BYTES
    mov x8, #SYS_rt_sigaction
    svc #0
ignored:
    subs x21, x21, #1
    b.ne ignore_next

    mov x0, #0                          // all descriptors: the streams belong to the command alone
    mov w1, #-1
    mov x2, #0
    mov x8, #SYS_close_range
    svc #0

wait:
    mov x0, x20
    mov x1, sp                          // the status replaces SIG_IGN
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
    str xzr, [sp]                       // SIG_DFL
    mov x0, x20
    mov x1, sp
    mov x2, #0
    mov x3, #SIGNAL_SET_BYTES
    mov x8, #SYS_rt_sigaction
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
