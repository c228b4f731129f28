/* Constants of Linux that are the same on both processors. */
.equ STDIN, 0
.equ STDOUT, 1
.equ STDERR, 2

.equ ENOENT, 2
.equ EINTR, 4
.equ ENOEXEC, 8
.equ EAGAIN, 11
.equ EBUSY, 16
.equ ENOTDIR, 20
.equ ENAMETOOLONG, 36
.equ ELOOP, 40

.equ POLLIN, 1
.equ POLLOUT, 4
.equ SIG_IGN, 1
.equ SIG_UNBLOCK, 1
.equ SIG_SETMASK, 2
.equ SIGCHLD, 17
.equ SIGNAL_LAST, 31                    /* the last standard signal */
.equ SIGNAL_SET_BYTES, 8

.equ O_WRONLY, 1
.equ O_CLOEXEC, 0x80000
.equ SEEK_END, 2
.equ PROT_READ_WRITE, 3
.equ MAP_PRIVATE_FIXED, 0x12
.equ CLONE_INTO_CGROUP_HIGH, 2          /* the upper half of the flag: it is 1 << 33 */
.equ CLONE_ARGS_BYTES, 88
.equ PR_SET_DUMPABLE, 4
.equ PR_SET_CHILD_SUBREAPER, 36

/* Exit codes of a shell that could not start a command, and of a failure in the programs themselves. */
.equ CANNOT_BE_RUN, 126
.equ NOT_FOUND, 127
.equ NOT_STARTED, 125

/* Fields of the command image (command-image.ts), which is mapped at 16 << 32. */
.equ IMAGE_ENVIRONMENT, 0
.equ IMAGE_ARGUMENTS, 8
.equ IMAGE_PATHS, 16
.equ IMAGE_IGNORED, 24
.equ IMAGE_NOT_FOUND, 32                /* the message, then its length */
.equ IMAGE_CANNOT_BE_RUN, 48
.equ IMAGE_SHELL, 64
