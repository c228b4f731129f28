/** For the self-test: an independent look at processes. */
import { release } from "node:os";
import { HoldfastError } from "../../errors.ts";
import { sweepOwner } from "../sweep.ts";
import type { Witness } from "../types.ts";
import { windows, wineVersion } from "./ffi.ts";
import { system } from "./system.ts";

/** QUERY_LIMITED_INFORMATION and SYNCHRONIZE. */
const access = 0x10_1000;
const running = 0x102;

/** What cannot be opened may live, and is not taken for ended. */
function isListed(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

export const witness: Witness = {
  machine() {
    const version = wineVersion();
    const under = version === undefined ? undefined : `wine ${version}`;
    return { system: `Windows ${release()}`, under, hasSystemd: undefined, isRoot: undefined };
  },
  trees: "windows",
  isLive({ pid, startTime }) {
    const kernel = windows();
    const found = kernel.OpenProcess(access, 0, pid);
    if (found === 0) return isListed(pid);
    const [created, ...others] = [0, 0, 0, 0].map(() => Buffer.alloc(8)) as [Buffer, Buffer, Buffer, Buffer];
    const isRead = kernel.GetProcessTimes(found, created, ...others) !== 0;
    const isRunning = kernel.WaitForSingleObject(found, 0) === running;
    kernel.CloseHandle(found);
    return isRunning && (!isRead || String(created.readBigUInt64LE()) === startTime);
  },
  reaperProgram() {
    throw new HoldfastError("unsupported_platform", "Windows has no subreapers");
  },
  endOwner: (owner, boundMs) => sweepOwner(system, owner, () => false, boundMs),
};
