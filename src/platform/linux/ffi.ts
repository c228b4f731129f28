/**
 * The few system calls missing from Node, through koffi. Loaded on first use, so that importing this file works on every
 * operating system and in a process without the right to load addons.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";

interface SystemCalls {
  prctl(option: number, arg2: number, arg3: number, arg4: number, arg5: number): number;
  waitpid(pid: number, status: number[] | null, options: number): number;
  close(descriptor: number): number;
  dup2(from: number, to: number): number;
  memfdCreate(name: string, flags: number): number;
  pipe(ends: number[]): number;
  hasHungUp(descriptor: number): boolean;
  setCloseOnExec(descriptor: number, isClosed: boolean): void;
  pidfdOpen(pid: number): number;
  pidfdSendSignal(pidfd: number, signal: number): number;
  ioctl(descriptor: number, request: number, argument: Buffer): number;
}

/** From include/uapi/linux/prctl.h. */
const prSetChildSubreaper = 36;
const prSetParentDeathSignal = 1;
/** Numbers of the generic table; x86-64 and arm64 share everything added since 2019. */
const sysPidfdSendSignal = 424;
const sysPidfdOpen = 434;
const wNoHang = 1;
/** F_SETFD with FD_CLOEXEC, from include/uapi/asm-generic/fcntl.h. */
const fSetFd = 2;
const fdCloseOnExec = 1;
/** MFD_CLOEXEC, MFD_NOEXEC_SEAL and MFD_EXEC, from include/uapi/linux/memfd.h; the last two since Linux 6.3. */
const memfdCloseOnExec = 0x1;
const memfdFlags = { data: 0x8, program: 0x10 };
/** POLLERR | POLLHUP: the other end of a pipe or socket is closed. */
const pollHungUp = 0x8 | 0x10;
/** From include/uapi/asm-generic/ioctls.h, which x86-64 and arm64 share. */
const terminalRequests = { get: 0x5401, set: 0x5402, resize: 0x5414, unlock: 0x4004_5431, number: 0x8004_5430 };
/** IUTF8 of c_iflag, the first word of struct termios: erasing removes whole characters. */
const inputIsUtf8 = 0x4000;
const termiosBytes = 64;

let calls: SystemCalls | undefined;

function systemCalls(): SystemCalls {
  if (calls !== undefined) return calls;
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi").default;
  const libc = koffi.load(null);
  const syscall = libc.func("long syscall(long number, ...)");
  const poll = libc.func("int poll(uint8_t *asked, unsigned long count, int timeoutMs)");
  const fcntl = libc.func("int fcntl(int descriptor, int command, ...)");
  const ioctl = libc.func("int ioctl(int descriptor, unsigned long request, ...)");
  calls = {
    prctl: libc.func("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)"),
    waitpid: libc.func("int waitpid(int pid, _Out_ int *status, int options)"),
    close: libc.func("int close(int)"),
    dup2: libc.func("int dup2(int, int)"),
    memfdCreate: libc.func("int memfd_create(const char *name, unsigned int flags)"),
    pipe: libc.func("int pipe(_Out_ int *ends)"),
    setCloseOnExec: (descriptor, isClosed) => void fcntl(descriptor, fSetFd, "int", isClosed ? fdCloseOnExec : 0),
    hasHungUp(descriptor) {
      const asked = Buffer.alloc(8); // struct pollfd: descriptor, events, revents
      asked.writeInt32LE(descriptor, 0);
      poll(asked, 1, 0);
      return (asked.readInt16LE(6) & pollHungUp) !== 0;
    },
    pidfdOpen: (pid) => Number(syscall(sysPidfdOpen, "int", pid, "unsigned int", 0)),
    pidfdSendSignal: (pidfd, signal) =>
      Number(syscall(sysPidfdSendSignal, "int", pidfd, "int", signal, "void *", null, "unsigned int", 0)),
    ioctl: (descriptor, request, argument) => Number(ioctl(descriptor, request, "uint8_t *", argument)),
  };
  return calls;
}

/** Makes this process the new parent of its orphaned descendants. Survives execve. */
export function becomeSubreaper(): void {
  if (systemCalls().prctl(prSetChildSubreaper, 1, 0, 0, 0) !== 0)
    throw new Error("prctl(PR_SET_CHILD_SUBREAPER) failed");
}

/** Requests a signal at the end of this process's parent, even in another pid namespace. Survives execve. */
export function signalAtParentsEnd(signal: number): void {
  if (systemCalls().prctl(prSetParentDeathSignal, signal, 0, 0, 0) !== 0)
    throw new Error("prctl(PR_SET_PDEATHSIG) failed");
}

/** Reaps one dead child. Never pass -1: that would steal libuv's own exit events. */
export function reap(pid: number): boolean {
  return systemCalls().waitpid(pid, [0], wNoHang) === pid;
}

/** A descriptor of the process itself, or -1 on kernels without them (before 5.3) or for an ended process. */
export function openPidfd(pid: number): number {
  return systemCalls().pidfdOpen(pid);
}

export function signalPidfd(pidfd: number, signal: number): boolean {
  return systemCalls().pidfdSendSignal(pidfd, signal) === 0;
}

export function closeDescriptor(descriptor: number): void {
  systemCalls().close(descriptor);
}

/** Moves an open descriptor to another number, where it survives execve; closes that number's previous file. */
export function renumber(from: number, to: number): void {
  if (systemCalls().dup2(from, to) !== to) throw new Error(`dup2(${from}, ${to}) failed`);
}

/** A pipe whose ends survive execve: [read, write]. */
export function inheritablePipe(): [number, number] {
  const ends = [0, 0];
  if (systemCalls().pipe(ends) !== 0) throw new Error("pipe() failed");
  return [ends[0] ?? -1, ends[1] ?? -1];
}

/** An unnamed file in memory, close-on-exec. `use`: whether it may be executed. */
export function memoryFile(name: string, use: "data" | "program" = "data"): number {
  const kernel = systemCalls();
  const descriptor = kernel.memfdCreate(name, memfdCloseOnExec | memfdFlags[use]);
  if (descriptor !== -1) return descriptor;
  // Older kernels know neither flag, and allow executing every such file.
  const plain = kernel.memfdCreate(name, memfdCloseOnExec);
  if (plain === -1) throw new Error("memfd_create is refused here");
  return plain;
}

/** Whether the other end of this pipe or socket is closed everywhere. False for files and terminals. */
export function hasHungUp(descriptor: number): boolean {
  return systemCalls().hasHungUp(descriptor);
}

/**
 * Keeps one descriptor out of future child processes. For descriptors opened by libraries: a node-pty master inherited by an
 * unrelated process would keep its shell from being hung up.
 */
export function closeOnExec(descriptor: number): void {
  systemCalls().setCloseOnExec(descriptor, true);
}

/** Lets one descriptor survive execve. */
export function inheritDescriptor(descriptor: number): void {
  systemCalls().setCloseOnExec(descriptor, false);
}

/** Keeps every descriptor except the first three out of future child processes, whatever opened it. */
export function closeAllOnExec(): void {
  for (const name of readdirSync("/proc/self/fd")) if (Number(name) > 2) closeOnExec(Number(name));
}

function askTerminal(descriptor: number, request: keyof typeof terminalRequests, argument: Buffer): void {
  if (systemCalls().ioctl(descriptor, terminalRequests[request], argument) !== 0)
    throw new Error(`the terminal refuses "${request}"`);
}

/** Prepares the other end of a fresh master: unlocked, sized, with UTF-8 editing. */
export function prepareTerminal(master: number, columns: number, rows: number): void {
  askTerminal(master, "unlock", Buffer.alloc(4));
  resizeTerminal(master, columns, rows);
  const rules = Buffer.alloc(termiosBytes);
  askTerminal(master, "get", rules);
  rules.writeUInt32LE(rules.readUInt32LE(0) | inputIsUtf8, 0);
  askTerminal(master, "set", rules);
}

/** N of /dev/pts/N. */
export function terminalNumber(master: number): number {
  const number = Buffer.alloc(4);
  askTerminal(master, "number", number);
  return number.readUInt32LE(0);
}

export function resizeTerminal(master: number, columns: number, rows: number): void {
  const size = Buffer.alloc(8); // struct winsize: rows, columns, and two unused fields
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  askTerminal(master, "resize", size);
}
