/**
 * The few functions of Windows that Node lacks, through koffi. Loaded on first use, so that importing this file works on every
 * operating system and in a process without the right to load addons. Structures are laid out by hand, for 64-bit Windows.
 */
import { createRequire } from "node:module";

/** A kernel object of this process. */
export type Handle = number;

type Bytes = Buffer | null;

/** Names and parameters as in the reference of Windows; a result of 0 means failure where a comment does not say otherwise. */
interface Functions {
  CloseHandle(handle: Handle): number;
  GetLastError(): number;
  GetCurrentProcess(): Handle;
  OpenProcess(access: number, inherit: number, pid: number): Handle;
  TerminateProcess(process: Handle, code: number): number;
  GetExitCodeProcess(process: Handle, code: Bytes): number;
  /** 0: the object is signalled, a process has ended. */
  WaitForSingleObject(object: Handle, ms: number): number;
  GetProcessTimes(process: Handle, created: Bytes, ended: Bytes, kernel: Bytes, user: Bytes): number;
  GetProcessHandleCount(process: Handle, count: Bytes): number;
  QueryFullProcessImageNameW(process: Handle, flags: number, name: Bytes, length: Bytes): number;
  K32GetProcessMemoryInfo(process: Handle, counters: Bytes, size: number): number;
  ReadProcessMemory(process: Handle, address: bigint, into: Bytes, size: number, read: Bytes): number;
  /** 0 is success. */
  NtQueryInformationProcess(process: Handle, what: number, into: Bytes, size: number, length: Bytes): number;
  /** 0 is success. */
  NtQueryInformationFile(file: Handle, status: Bytes, into: Bytes, size: number, what: number): number;
  NtSuspendProcess(process: Handle): number;
  NtResumeProcess(process: Handle): number;
  CreateToolhelp32Snapshot(flags: number, pid: number): Handle;
  Process32FirstW(snapshot: Handle, entry: Bytes): number;
  Process32NextW(snapshot: Handle, entry: Bytes): number;
  CreateJobObjectW(security: null, name: null): Handle;
  SetInformationJobObject(job: Handle, what: number, from: Bytes, size: number): number;
  QueryInformationJobObject(job: Handle, what: number, into: Bytes, size: number, length: Bytes): number;
  AssignProcessToJobObject(job: Handle, process: Handle): number;
  TerminateJobObject(job: Handle, code: number): number;
  CreateIoCompletionPort(file: Handle, port: Handle, key: number, threads: number): Handle;
  GetQueuedCompletionStatus(port: Handle, bytes: Bytes, key: Bytes, overlapped: Bytes, ms: number): number;
  InitializeProcThreadAttributeList(list: Bytes, count: number, flags: number, size: Bytes): number;
  UpdateProcThreadAttribute(
    list: Bytes,
    flags: number,
    attribute: number,
    value: Bytes,
    size: number,
    old: null,
    oldSize: null,
  ): number;
  DeleteProcThreadAttributeList(list: Bytes): void;
  CreateProcessW(
    application: string,
    line: Bytes,
    process: null,
    thread: null,
    inherit: number,
    flags: number,
    environment: Bytes,
    directory: string | null,
    startup: Bytes,
    created: Bytes,
  ): number;
  CreateFileW(
    path: string,
    access: number,
    share: number,
    security: null,
    disposition: number,
    flags: number,
    template: Handle,
  ): Handle;
  WriteFile(file: Handle, bytes: Bytes, size: number, written: Bytes, overlapped: null): number;
  SetHandleInformation(handle: Handle, mask: number, flags: number): number;
  GetStdHandle(which: number): Handle;
  DuplicateHandle(
    source: Handle,
    handle: Handle,
    target: Handle,
    into: Bytes,
    access: number,
    inherit: number,
    options: number,
  ): number;
  CreateEventW(security: null, manualReset: number, isSet: number, name: string): Handle;
  OpenEventW(access: number, inherit: number, name: string): Handle;
  SetEvent(event: Handle): number;
  UnregisterWait(wait: Handle): number;
  GenerateConsoleCtrlEvent(event: number, group: number): number;
  GetConsoleCP(): number;
  GetConsoleWindow(): Handle;
}

const handle = "intptr_t";
const bytes = "void *";

const kernel: Record<keyof Functions, readonly [result: string, ...parameters: string[]]> = {
  CloseHandle: ["int", handle],
  GetLastError: ["uint32"],
  GetCurrentProcess: [handle],
  OpenProcess: [handle, "uint32", "int", "uint32"],
  TerminateProcess: ["int", handle, "uint32"],
  GetExitCodeProcess: ["int", handle, bytes],
  WaitForSingleObject: ["uint32", handle, "uint32"],
  GetProcessTimes: ["int", handle, bytes, bytes, bytes, bytes],
  GetProcessHandleCount: ["int", handle, bytes],
  QueryFullProcessImageNameW: ["int", handle, "uint32", bytes, bytes],
  K32GetProcessMemoryInfo: ["int", handle, bytes, "uint32"],
  ReadProcessMemory: ["int", handle, "uintptr_t", bytes, "uintptr_t", bytes],
  NtQueryInformationProcess: ["int", handle, "int", bytes, "uint32", bytes],
  NtQueryInformationFile: ["int", handle, bytes, bytes, "uint32", "int"],
  NtSuspendProcess: ["int", handle],
  NtResumeProcess: ["int", handle],
  CreateToolhelp32Snapshot: [handle, "uint32", "uint32"],
  Process32FirstW: ["int", handle, bytes],
  Process32NextW: ["int", handle, bytes],
  CreateJobObjectW: [handle, bytes, bytes],
  SetInformationJobObject: ["int", handle, "int", bytes, "uint32"],
  QueryInformationJobObject: ["int", handle, "int", bytes, "uint32", bytes],
  AssignProcessToJobObject: ["int", handle, handle],
  TerminateJobObject: ["int", handle, "uint32"],
  CreateIoCompletionPort: [handle, handle, handle, "uintptr_t", "uint32"],
  GetQueuedCompletionStatus: ["int", handle, bytes, bytes, bytes, "uint32"],
  InitializeProcThreadAttributeList: ["int", bytes, "uint32", "uint32", bytes],
  UpdateProcThreadAttribute: ["int", bytes, "uint32", "uintptr_t", bytes, "uintptr_t", bytes, bytes],
  DeleteProcThreadAttributeList: ["void", bytes],
  CreateProcessW: ["int", "str16", bytes, bytes, bytes, "int", "uint32", bytes, "str16", bytes, bytes],
  CreateFileW: [handle, "str16", "uint32", "uint32", bytes, "uint32", "uint32", handle],
  WriteFile: ["int", handle, bytes, "uint32", bytes, bytes],
  SetHandleInformation: ["int", handle, "uint32", "uint32"],
  GetStdHandle: [handle, "uint32"],
  DuplicateHandle: ["int", handle, handle, handle, bytes, "uint32", "int", "uint32"],
  CreateEventW: [handle, bytes, "int", "int", "str16"],
  OpenEventW: [handle, "uint32", "int", "str16"],
  SetEvent: ["int", handle],
  UnregisterWait: ["int", handle],
  GenerateConsoleCtrlEvent: ["int", "uint32", "uint32"],
  GetConsoleCP: ["uint32"],
  GetConsoleWindow: [handle],
};

/** WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD: the wait itself does no work but to tell the event loop. */
const waitFlags = 0x8 | 0x4;
const infinite = 0xffff_ffff;

interface System extends Functions {
  /** Calls `tell` in the event loop once the object is signalled. Throws when it cannot wait. */
  waitFor(object: Handle, tell: () => void): Disposable;
  /** The address of a buffer, for a field that points to it; valid while the buffer is referenced. */
  addressOf(buffer: Buffer): bigint;
}

let bound: System | undefined;

export function windows(): System {
  bound ??= bind();
  return bound;
}

function bind(): System {
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi").default;
  const libraries = { kernel32: koffi.load("kernel32.dll"), ntdll: koffi.load("ntdll.dll") };
  const functions = Object.fromEntries(
    Object.entries(kernel).map(([name, [result, ...parameters]]) => {
      const library = name.startsWith("Nt") ? libraries.ntdll : libraries.kernel32;
      return [name, library.func("__stdcall", name, result, parameters)];
    }),
  ) as unknown as Functions;

  const callback = koffi.proto("void __stdcall HoldfastWaitEnded(uintptr_t id, uint8_t timedOut)");
  const register = libraries.kernel32.func("__stdcall", "RegisterWaitForSingleObject", "int", [
    bytes,
    handle,
    koffi.pointer(callback),
    "uintptr_t",
    "uint32",
    "uint32",
  ]) as (wait: Buffer, object: Handle, back: unknown, id: number, ms: number, flags: number) => number;
  const waiting = new Map<number, () => void>();
  // One for all waits: each registered callback is native code of its own.
  const told = koffi.register((id: number | bigint) => waiting.get(Number(id))?.(), koffi.pointer(callback));
  let last = 0;

  return Object.assign(functions, {
    waitFor(object: Handle, tell: () => void): Disposable {
      last += 1;
      const id = last;
      const wait = Buffer.alloc(8);
      const end = () => {
        if (waiting.delete(id)) functions.UnregisterWait(Number(wait.readBigInt64LE(0)));
      };
      waiting.set(id, () => {
        end();
        tell();
      });
      if (register(wait, object, told, id, infinite, waitFlags) === 0) {
        waiting.delete(id);
        throw failure("RegisterWaitForSingleObject");
      }
      return { [Symbol.dispose]: end };
    },
    addressOf: (buffer: Buffer) => BigInt(koffi.address(buffer) as number | bigint),
  });
}

/** Undefined on Windows itself. */
export function wineVersion(): string | undefined {
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi").default;
  try {
    return String(koffi.load("ntdll.dll").func("wine_get_version", "str", [])());
  } catch {
    return undefined; // only wine has the function
  }
}

/** Of the errors that a start meets. */
const reasons: Readonly<Record<number, string>> = {
  2: "the program does not exist",
  3: "the path does not exist",
  5: "access is denied",
  8: "the system is out of memory",
  87: "the system rejects an argument",
  193: "this is not a program for this Windows",
  206: "the name is too long",
  267: "the directory does not exist",
  740: "it needs an administrator",
  1455: "the paging file is too small",
  1816: "the limit of the job is reached",
};

/** The last error, which must be asked for in the same turn. */
export function failure(what: string): Error & { readonly windowsError: number } {
  const windowsError = windows().GetLastError();
  const reason = reasons[windowsError] ?? `Windows error ${windowsError}`;
  return Object.assign(new Error(`${reason} (${what}, ${windowsError})`), { windowsError });
}

/** INVALID_HANDLE_VALUE. */
export const invalidHandle: Handle = -1;
