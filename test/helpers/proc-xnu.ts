/**
 * Plays the kernel of macOS over /proc, so that code for macOS meets real forking trees. Unlike XNU, /proc remembers no parent:
 * - Weaker: a process that is first seen after its parent's end has its reaper for a parent; XNU would still name the dead one.
 * - Weaker: an exec between two looks at a re-parented process is noticed at the second one.
 * - Stronger: a reaper other than process 1 gives an orphan away only here, if its parent was never seen.
 * As on XNU: unique ids are never used again, an exec changes the pid version and takes the parent of that moment, orphans are
 * children of process 1, and the environment of restricted programs is withheld.
 */
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Xnu, XnuArguments, XnuProcess } from "../../src/platform/darwin/xnu.ts";
import { platform } from "../../src/platform/index.ts";
import { allPids, readProcess, type LinuxProcess } from "../../src/platform/linux/processes.ts";
import { cgroupMount } from "./tiers.ts";

interface Remembered {
  readonly uniqueId: bigint;
  readonly firstPpid: number;
  parentUniqueId: bigint;
  pidVersion: number;
  image: string;
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined; // ended, or not ours to read
  }
}

/** The auxiliary vector holds addresses that are random for each exec; a fork keeps them. */
const imageOf = (pid: number) => read(`/proc/${pid}/auxv`)?.toString("base64") ?? "";

export class ProcXnu implements Xnu {
  readonly signalsExactly = true;
  readonly #known = new Map<string, Remembered>();
  readonly #restricted: ReadonlySet<string>;
  readonly #bootedAtUs: bigint;
  #last = 0n;

  /** `restricted`: names of programs whose environment is withheld, as macOS does for its own. */
  constructor({ restricted = [] }: { restricted?: Iterable<string> } = {}) {
    this.#restricted = new Set(restricted);
    const seconds = /^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? "0";
    this.#bootedAtUs = BigInt(seconds) * 1_000_000n;
  }

  pids(): number[] {
    // Whoever lists sees every process: parents are remembered from now on.
    return allPids().filter((pid) => this.#look(pid)?.seen.isKernelThread === false);
  }

  #look(pid: number): { seen: LinuxProcess; known: Remembered } | undefined {
    const seen = readProcess(pid);
    if (seen === undefined) return undefined;
    const key = `${pid} ${seen.startTime}`;
    const image = imageOf(pid);
    let known = this.#known.get(key);
    if (known === undefined) {
      const parentUniqueId = this.#uniqueIdOf(seen.ppid);
      this.#last += 1n;
      known = { uniqueId: this.#last, firstPpid: seen.ppid, parentUniqueId, pidVersion: Number(this.#last), image };
      this.#known.set(key, known);
    } else if (image !== known.image && image !== "") {
      known.image = image;
      known.pidVersion += 1_000_003; // as far from other versions as those of forks
      known.parentUniqueId = this.#uniqueIdOf(this.#parentOf(seen, known));
    }
    return { seen, known };
  }

  /** Process 1 adopts, whoever does it on Linux. */
  #parentOf(seen: LinuxProcess, known: Remembered): number {
    return seen.ppid === known.firstPpid ? seen.ppid : 1;
  }

  #uniqueIdOf(pid: number): bigint {
    return pid === 0 ? 0n : (this.#look(pid)?.known.uniqueId ?? 0n);
  }

  process(pid: number): XnuProcess | undefined {
    const found = this.#look(pid);
    if (found === undefined || found.seen.isKernelThread) return undefined;
    const { seen, known } = found;
    let uid: number;
    try {
      uid = statSync(`/proc/${pid}`).uid;
    } catch {
      return undefined; // ended
    }
    return {
      pid,
      ppid: this.#parentOf(seen, known),
      uniqueId: known.uniqueId,
      parentUniqueId: known.parentUniqueId,
      pidVersion: known.pidVersion,
      group: seen.processGroup,
      uid,
      // A process whose first thread ended is none on macOS, where threads end with it; it lives.
      state: seen.state === "headless" ? "running" : seen.state,
      startedAtUs: this.#bootedAtUs + BigInt(seen.startTime) * 10_000n,
      rssBytes: seen.rssBytes,
      cpuMs: seen.cpuMs,
    };
  }

  session(pid: number): number {
    return readProcess(pid)?.session ?? 0;
  }

  arguments(pid: number): XnuArguments | undefined {
    const [words, environment] = [read(`/proc/${pid}/cmdline`), read(`/proc/${pid}/environ`)];
    if (words === undefined || environment === undefined) return undefined;
    const list = (bytes: Buffer) => (bytes.length === 0 ? [] : bytes.toString().replace(/\0$/, "").split("\0"));
    return { argv: list(words), environment: this.#isRestricted(pid) ? [] : list(environment) };
  }

  #isRestricted(pid: number): boolean {
    try {
      return this.#restricted.has(basename(readlinkSync(`/proc/${pid}/exe`)));
    } catch {
      return true; // ended
    }
  }

  signal(target: Pick<XnuProcess, "pid" | "uniqueId" | "pidVersion">, signal: NodeJS.Signals): boolean {
    const found = this.#look(target.pid);
    if (found === undefined || found.known.uniqueId !== target.uniqueId) return false;
    return platform.signal(found.seen, signal);
  }

  /** The cgroup of the second version, by the number of its directory. */
  coalition(pid: number): bigint | undefined {
    const path = this.#cgroupOf(pid);
    return path === undefined ? undefined : this.#numberOf(path);
  }

  #cgroupOf(pid: number): string | undefined {
    const [, path] = /^0::(.*)$/m.exec(read(`/proc/${pid}/cgroup`)?.toString() ?? "") ?? [];
    const mount = cgroupMount()?.mount;
    return path === undefined || mount === undefined ? undefined : join(mount, path);
  }

  #numberOf(directory: string): bigint | undefined {
    try {
      return statSync(directory, { bigint: true }).ino;
    } catch {
      return undefined; // removed
    }
  }

  /** Of those alive: XNU counts all there ever were, and only the difference is looked at. */
  coalitionTasks(coalition: bigint): { readonly started: bigint; readonly exited: bigint } | undefined {
    const members = this.pids().filter((pid) => this.coalition(pid) === coalition);
    const dead = members.filter((pid) => readProcess(pid)?.state === "zombie");
    return members.length === 0 ? undefined : { started: BigInt(members.length), exited: BigInt(dead.length) };
  }

  bootSession(): string {
    return platform.bootId();
  }
}
