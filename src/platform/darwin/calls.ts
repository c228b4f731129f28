/**
 * The functions of libSystem that Node lacks, through koffi, as their headers declare them. Loaded on first use, so that
 * importing this file works on every system and in a process without the right to load addons. Everything here exists since
 * macOS 12 at the latest, but where a comment says otherwise. Buffers may be null to ask for a size.
 */
import { createRequire } from "node:module";
import { HoldfastError } from "../../errors.ts";

export interface XnuCalls {
  // libproc.h, of libsyscall/wrappers/libproc. 0 or a short length is a failure.
  proc_listallpids(into: Buffer | null, bytes: number): number;
  proc_pidinfo(pid: number, flavor: number, arg: number, into: Buffer | null, bytes: number): number;
  proc_pidfdinfo(pid: number, descriptor: number, flavor: number, into: Buffer, bytes: number): number;
  /** Returns an errno, 0 for success. Since macOS 14 (xnu-10002); undefined before. */
  readonly proc_signal_with_audittoken: ((token: Buffer, signal: number) => number) | undefined;
  // sys/coalition.h. -1 is a failure.
  coalition_info_resource_usage(coalition: bigint, into: Buffer, bytes: number): number;
  // sys/sysctl.h. `length` is a size_t, read and written. -1 is a failure.
  sysctl(name: Buffer, names: number, into: Buffer | null, length: Buffer): number;
  sysctlbyname(name: string, into: Buffer | null, length: Buffer): number;
  // unistd.h and signal.h. -1 is a failure.
  getsid(pid: number): number;
  kill(pid: number, signal: number): number;
  // mach/mach_time.h. 0 is success.
  mach_timebase_info(into: Buffer): number;
}

/** Holds libproc, libsyscall and libc. dyld finds it in its cache; no such file exists on the disk. */
const library = "/usr/lib/libSystem.B.dylib";

let bound: XnuCalls | undefined;

/** Throws `unsupported_platform` where there is no such library. */
export function xnuCalls(): XnuCalls {
  bound ??= bind();
  return bound;
}

function bind(): XnuCalls {
  try {
    const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi").default;
    const system = koffi.load(library);
    const sysctl = system.func("int sysctl(void *, uint32_t, void *, void *, void *, size_t)");
    const sysctlbyname = system.func("int sysctlbyname(const char *, void *, void *, void *, size_t)");
    const optional = (declaration: string) => {
      try {
        return system.func(declaration);
      } catch {
        return undefined; // an older macOS
      }
    };
    return {
      proc_listallpids: system.func("int proc_listallpids(void *, int)"),
      proc_pidinfo: system.func("int proc_pidinfo(int, int, uint64_t, void *, int)"),
      proc_pidfdinfo: system.func("int proc_pidfdinfo(int, int, int, void *, int)"),
      proc_signal_with_audittoken: optional("int proc_signal_with_audittoken(void *, int)"),
      coalition_info_resource_usage: system.func("int coalition_info_resource_usage(uint64_t, void *, size_t)"),
      sysctl: (name, names, into, length) => Number(sysctl(name, names, into, length, null, 0)),
      sysctlbyname: (name, into, length) => Number(sysctlbyname(name, into, length, null, 0)),
      getsid: system.func("int getsid(int)"),
      kill: system.func("int kill(int, int)"),
      mach_timebase_info: system.func("int mach_timebase_info(void *)"),
    };
  } catch (cause) {
    const message = `macOS answers Holdfast through ${library}, which cannot be loaded here; run \`npm rebuild koffi\` if this is a Mac`;
    throw new HoldfastError("unsupported_platform", message, { cause });
  }
}
