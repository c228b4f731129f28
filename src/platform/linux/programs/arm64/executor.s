/*
 * executor DIGIT ...: maps the command image (command-image.ts) from descriptor DIGIT, closes every descriptor over 2, ignores
 * the signals of the image's mask, and becomes the first executable path of the image, with the image's arguments and
 * environment. A text file without "#!" is run by /bin/sh. Otherwise it prints the image's message and exits with 127 (not
 * found) or 126 (cannot be run); 125: the image cannot be mapped.
 */
.include "system.s"

    ldr x0, [sp, #16]                   // argv[1]
    ldrb w0, [x0]
    sub w20, w0, #'0'                   // the descriptor

    mov w0, w20                         // its size …
    mov x1, #0
    mov x2, #SEEK_END
    mov x8, #SYS_lseek
    svc #0
    tbnz x0, #63, fail
    mov x1, x0
    mov x19, #16 << 32                  // … at the address that its pointers assume
    mov x0, x19
    mov x2, #PROT_READ_WRITE
    mov x3, #MAP_PRIVATE_FIXED
    mov w4, w20
    mov x5, #0
    mov x8, #SYS_mmap
    svc #0
    cmp x0, x19
    b.ne fail

    mov x0, #3                          // every descriptor over 2
    mov w1, #-1
    mov x2, #0
    mov x8, #SYS_close_range
    svc #0
    cbz x0, closed
    mov x20, #1023                      // a kernel before 5.9: one by one
close_next:
    mov x0, x20
    mov x8, #SYS_close
    svc #0
    sub x20, x20, #1
    cmp x20, #2
    b.ne close_next
closed:

    ldr x21, [x19, #IMAGE_IGNORED]      // bit 0 is signal 1
    mov x9, #SIG_IGN                    // a sigaction that ignores
    stp x9, xzr, [sp, #-32]!
    stp xzr, xzr, [sp, #16]
    mov x20, #0
next_signal:
    cbz x21, signals_done
    add x20, x20, #1
    and x9, x21, #1
    lsr x21, x21, #1
    cbz x9, next_signal
    mov x0, x20
    mov x1, sp
    mov x2, #0
    mov x3, #SIGNAL_SET_BYTES
    mov x8, #SYS_rt_sigaction
    svc #0
    b next_signal
signals_done:

    ldr x22, [x19, #IMAGE_PATHS]
    mov w23, #NOT_FOUND                 // unless one of them exists
next_path:
    ldr x0, [x22]
    cbz x0, give_up
    add x22, x22, #8
    ldr x1, [x19, #IMAGE_ARGUMENTS]
    ldr x2, [x19, #IMAGE_ENVIRONMENT]
    mov x8, #SYS_execve
    svc #0
    cmn x0, #ENOENT
    b.eq next_path
    cmn x0, #ENOTDIR
    b.eq next_path
    cmn x0, #ELOOP
    b.eq next_path
    cmn x0, #ENAMETOOLONG
    b.eq next_path
    mov w23, #CANNOT_BE_RUN
    cmn x0, #ENOEXEC
    b.ne next_path

    ldr x1, [x19, #IMAGE_ARGUMENTS]     // a script: { "/bin/sh", the path, the other arguments }
    ldur x9, [x22, #-8]
    str x9, [x1]
    ldr x0, [x19, #IMAGE_SHELL]
    str x0, [x1, #-8]!                  // the image keeps this word free
    ldr x2, [x19, #IMAGE_ENVIRONMENT]
    svc #0                              // x8 is still SYS_execve

give_up:
    ldp x1, x2, [x19, #IMAGE_NOT_FOUND]
    cmp w23, #NOT_FOUND
    b.eq say
    ldp x1, x2, [x19, #IMAGE_CANNOT_BE_RUN]
say:
    mov x0, #STDERR
    mov x8, #SYS_write
    svc #0
    mov w0, w23
exit:
    mov x8, #SYS_exit_group
    svc #0
fail:
    mov w0, #NOT_STARTED
    b exit
image_end:
