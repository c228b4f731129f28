/*
 * launcher PROGRAM ...: becomes PROGRAM as a child subreaper, with every signal at its default. Node leaves SIGPIPE ignored,
 * and a shell leaves SIGINT ignored in background commands. Exit 126 or 127 as in a shell.
 */
.include "system.s"

    mov x0, #PR_SET_CHILD_SUBREAPER
    mov x1, #1
    mov x2, #0
    mov x3, #0
    mov x4, #0
    mov x8, #SYS_prctl
    svc #0

    mov x9, sp                          // argc, argv and the environment are here
    sub sp, sp, #32                     // a sigaction of zeros: SIG_DFL
    stp xzr, xzr, [sp]
    stp xzr, xzr, [sp, #16]
    mov x10, #SIGNAL_LAST
next_signal:
    mov x0, x10
    mov x1, sp
    mov x2, #0
    mov x3, #SIGNAL_SET_BYTES
    mov x8, #SYS_rt_sigaction
    svc #0
    subs x10, x10, #1
    b.ne next_signal
    mov sp, x9

    ldr x3, [sp]                        // argc
    ldr x0, [sp, #16]                   // argv[1]
    add x1, sp, #16                     // argv + 1
    add x2, sp, x3, lsl #3
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
image_end:
