/* arm64: system call numbers. The call number is in x8, the arguments in x0 to x5, the result in x0. */
.equ MACHINE, 183
.include "constants.s"

.equ SYS_unlinkat, 35
.equ SYS_openat, 56
.equ SYS_close, 57
.equ SYS_lseek, 62
.equ SYS_read, 63
.equ SYS_write, 64
.equ SYS_ppoll, 73
.equ SYS_exit_group, 94
.equ SYS_nanosleep, 101
.equ SYS_kill, 129
.equ SYS_rt_sigaction, 134
.equ SYS_rt_sigprocmask, 135
.equ SYS_prctl, 167
.equ SYS_getpid, 172
.equ SYS_execve, 221
.equ SYS_mmap, 222
.equ SYS_wait4, 260
.equ SYS_clone3, 435
.equ SYS_close_range, 436

.equ AT_FDCWD, -100
.equ AT_REMOVEDIR, 0x200
.equ O_DIRECTORY, 0x4000

.include "elf.s"
