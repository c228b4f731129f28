/**
 * The process table of macOS. A process is identified by its unique id, which no other process of a boot has; its start, which
 * stays over exec (forkproc), is written beside it so that a record tells its age. The version changes with each exec, so it is
 * no part of the identity: whoever signals reads it at that moment.
 */
import { isAlive, type ProcessInfo, type ProcessRef, type ProcessTable } from "../types.ts";
import type { Xnu, XnuProcess } from "./xnu.ts";

const microsecondsPerMs = 1000n;
/** An exec changes the version between the look and the signal; one process hardly becomes that many programs meanwhile. */
const execsMax = 5;

/** `<unique id>.<start in microseconds since 1970>`. */
function startTimeOf({ uniqueId, startedAtUs }: Pick<XnuProcess, "uniqueId" | "startedAtUs">): string {
  return `${uniqueId}.${startedAtUs}`;
}

/** What the kernel tells of processes, in the platform's terms. */
export class XnuProcesses implements ProcessTable {
  readonly #xnu: () => Xnu;

  /** `xnu` is first called when something is looked at. */
  constructor(xnu: () => Xnu) {
    this.#xnu = xnu;
  }

  readonly read = (pid: number): ProcessInfo | undefined => {
    const found = this.#xnu().process(pid);
    return found === undefined ? undefined : this.infoOf(found);
  };

  readonly pids = (): number[] => this.#xnu().pids();

  readonly children = (pid: number): number[] => this.#all().flatMap((each) => (each.ppid === pid ? [each.pid] : []));

  readonly descendants = (root: number, skip: ReadonlySet<number> = new Set()): ProcessInfo[] => {
    const byParent = Map.groupBy(this.#all(), ({ ppid }) => ppid);
    const seen = new Set([root, ...skip]);
    const found: ProcessInfo[] = [];
    const queue = [root];
    for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
      for (const child of byParent.get(parent) ?? []) {
        if (seen.has(child.pid)) continue;
        seen.add(child.pid);
        queue.push(child.pid);
        found.push(this.infoOf(child));
      }
    }
    return found;
  };

  readonly command = (pid: number): string => this.#xnu().arguments(pid)?.argv.join(" ") || "[?]";

  readonly startedAt = ({ startTime }: Pick<ProcessRef, "startTime">): number =>
    Number(BigInt(startTime.split(".")[1] ?? 0) / microsecondsPerMs);

  readonly environment = (pid: number): string | undefined => this.#xnu().arguments(pid)?.environment.join("\0");

  infoOf(process: XnuProcess): ProcessInfo {
    const { pid, ppid, state, rssBytes, cpuMs } = process;
    return { pid, startTime: startTimeOf(process), bootId: this.bootId(), ppid, state, rssBytes, cpuMs };
  }

  bootId(): string {
    return this.#xnu().bootSession();
  }

  identify(pid: number): ProcessRef | undefined {
    const info = this.read(pid);
    return isAlive(info) ? { pid, startTime: info.startTime, bootId: info.bootId } : undefined;
  }

  isSameAlive({ pid, startTime, bootId }: ProcessRef): boolean {
    const info = this.read(pid);
    return isAlive(info) && info.startTime === startTime && info.bootId === bootId;
  }

  /** False: it is gone, or may not be signalled. */
  signal({ pid, startTime }: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): boolean {
    let refused: number | undefined;
    for (let tries = 0; tries < execsMax; tries += 1) {
      const now = this.#xnu().process(pid);
      if (now === undefined || now.state === "zombie" || startTimeOf(now) !== startTime) return false;
      if (now.pidVersion === refused) return false;
      if (this.#xnu().signal(now, signal)) return true;
      refused = now.pidVersion;
    }
    return false;
  }

  #all(): XnuProcess[] {
    return this.pids().flatMap((pid) => this.#xnu().process(pid) ?? []);
  }
}
