/** Open descriptors of a process, as named by /proc/<pid>/fd. Their contents stay untouched. */
import { constants, closeSync, lstatSync, openSync, readdirSync, readlinkSync } from "node:fs";
import type { Descriptor, Unreadable } from "../../look.ts";
import { isAlive } from "../../types.ts";
import { hasHungUp } from "../ffi.ts";
import { readProcess } from "../processes.ts";

const terminalPath = /^\/dev\/(?:tty|pts\/|console|hvc)/;

function describe(number: number, target: string): Descriptor {
  const named = /^(pipe|socket):\[(\d+)\]$/.exec(target);
  if (named !== null) return { number, kind: named[1] as "pipe" | "socket", inode: Number(named[2]), target };
  const kind = target === "/dev/null" ? "null" : terminalPath.test(target) ? "terminal" : "other";
  return { number, kind, inode: 0, target };
}

/** The kernel also denies access for dying processes, which have no descriptors left. */
function whyUnreadable(thrown: unknown, pid: number): Unreadable {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : "";
  return (code === "EACCES" || code === "EPERM") && isAlive(readProcess(pid)) ? "denied" : "gone";
}

/** One descriptor; undefined when the process has none of this number. */
export function readDescriptor(pid: number, number: number): Descriptor | Unreadable | undefined {
  try {
    return describe(number, readlinkSync(`/proc/${pid}/fd/${number}`));
  } catch (thrown) {
    const why = whyUnreadable(thrown, pid);
    return why === "denied" ? why : undefined;
  }
}

export function readDescriptors(pid: number): Descriptor[] | Unreadable {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch (thrown) {
    return whyUnreadable(thrown, pid);
  }
  const found: Descriptor[] = [];
  for (const name of names) {
    try {
      found.push(describe(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`)));
    } catch (thrown) {
      if (whyUnreadable(thrown, pid) === "denied") return "denied";
      // otherwise it was closed during the look
    }
  }
  return found;
}

/** The pipe ends of a descriptor, by the permissions of its link. */
export function pipeEndsOf(pid: number, number: number): { reads: boolean; writes: boolean } {
  try {
    const { mode } = lstatSync(`/proc/${pid}/fd/${number}`);
    return { reads: (mode & 0o400) !== 0, writes: (mode & 0o200) !== 0 };
  } catch {
    return { reads: false, writes: false }; // closed since, or not ours to see
  }
}

/**
 * Whether the other end of this pipe is closed everywhere: asked of the kernel, by reopening the process's own end for the
 * moment of a poll. Nothing is read or written. Undefined: not permitted.
 */
export function isPipeAbandoned(
  pid: number,
  { number, target }: Descriptor,
  end: "read" | "write",
): boolean | undefined {
  const access = end === "read" ? constants.O_RDONLY : constants.O_WRONLY;
  let descriptor: number;
  try {
    descriptor = openSync(`/proc/${pid}/fd/${number}`, access | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined; // another user's pipe, or the process is gone
  }
  try {
    // The process may have reused that number between the two looks.
    if (readlinkSync(`/proc/self/fd/${descriptor}`) !== target) return undefined;
    return hasHungUp(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
