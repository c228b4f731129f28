/* x64: Intel syntax, system call numbers. The call number is in eax, the arguments in rdi rsi rdx r10 r8 r9. */
.intel_syntax noprefix
.equ MACHINE, 62
.include "constants.s"

.equ SYS_read, 0
.equ SYS_write, 1
.equ SYS_open, 2
.equ SYS_close, 3
.equ SYS_poll, 7
.equ SYS_lseek, 8
.equ SYS_mmap, 9
.equ SYS_rt_sigaction, 13
.equ SYS_rt_sigprocmask, 14
.equ SYS_getpid, 39
.equ SYS_execve, 59
.equ SYS_wait4, 61
.equ SYS_kill, 62
.equ SYS_rmdir, 84
.equ SYS_prctl, 157
.equ SYS_exit_group, 231
.equ SYS_openat, 257
.equ SYS_clone3, 435
.equ SYS_close_range, 436

.equ O_DIRECTORY, 0x10000

.include "elf.s"
