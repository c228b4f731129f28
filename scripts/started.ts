/**
 * Everything that a run of the tests started, and its end. A process belongs to the run when its parent does, or when its
 * environment, its command line or its working directory names the run's own temporary directory; so homes of gateways, and
 * what a dead test file leaves to init, are found too.
 */
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

interface Known {
  pid: number;
  parent: number;
  startTime: string;
  command: string;
}

const lookEveryMs = 50;

function read(pid: number, name: string): string {
  try {
    return name === "cwd" ? readlinkSync(`/proc/${pid}/cwd`) : readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return ""; // it ended, or it is another user's
  }
}

/** Zombies are left out: they hold a number and nothing else. */
function readProcesses(): Known[] {
  let names: string[] = [];
  try {
    names = readdirSync("/proc").filter((name) => /^[1-9]/.test(name));
  } catch {
    return []; // a system without it
  }
  return names.flatMap((name) => {
    const stat = read(Number(name), "stat");
    const [state = "X", parent = "0", ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (stat === "" || state === "Z" || state === "X") return [];
    const command = read(Number(name), "cmdline").split("\0").join(" ").trim();
    return [{ pid: Number(name), parent: Number(parent), startTime: rest[17] ?? "", command }];
  });
}

export class Started {
  readonly #place: string;
  readonly #first: number;
  readonly #known = new Map<number, Known>();

  /** `place`: the run's temporary directory; `first`: the process whose children all belong to the run. */
  constructor(place: string, first: number) {
    this.#place = place;
    this.#first = first;
  }

  /** Those who live, parents before their children. */
  look(): Known[] {
    const all = readProcesses();
    const live: Known[] = [];
    const pids = new Set<number>([this.#first]);
    const isOurs = (one: Known) =>
      one.pid !== process.pid &&
      (this.#known.get(one.pid)?.startTime === one.startTime || pids.has(one.parent) || this.#isNamedBy(one));
    for (let waiting = all; ;) {
      const found = waiting.filter(isOurs);
      if (found.length === 0) break;
      for (const one of found) pids.add(one.pid);
      live.push(...found);
      waiting = waiting.filter((one) => !pids.has(one.pid));
    }
    for (const one of live) this.#known.set(one.pid, one);
    return live;
  }

  #isNamedBy({ pid, command }: Known): boolean {
    return command.includes(this.#place) || ["environ", "cwd"].some((name) => read(pid, name).includes(this.#place));
  }

  /** Waits for all of them to end by themselves. Returns who is left. */
  async settle(boundMs: number): Promise<Known[]> {
    return this.#until(boundMs, () => {});
  }

  /** SIGTERM to those at the top, so that gateways end what they hold; then SIGKILL. Returns who is left. */
  async end(graceMs: number, killMs: number): Promise<Known[]> {
    const left = await this.#until(graceMs, (live, told) => {
      const pids = new Set(live.map(({ pid }) => pid));
      for (const one of live) if (!pids.has(one.parent) && !told.has(one.pid)) this.#signal(one, "SIGTERM", told);
    });
    if (left.length === 0) return left;
    return this.#until(killMs, (live) => {
      for (const signal of ["SIGSTOP", "SIGKILL"] as const) for (const one of live) this.#signal(one, signal);
    });
  }

  async #until(boundMs: number, act: (live: Known[], told: Set<number>) => void): Promise<Known[]> {
    const told = new Set<number>();
    const deadline = performance.now() + boundMs;
    for (;;) {
      const live = this.look();
      if (live.length === 0 || performance.now() > deadline) return live;
      act(live, told);
      await delay(lookEveryMs);
    }
  }

  #signal({ pid, startTime }: Known, signal: NodeJS.Signals, told?: Set<number>): void {
    told?.add(pid);
    const stat = read(pid, "stat");
    if (stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] !== startTime) return; // the number is another's by now
    try {
      process.kill(pid, signal);
    } catch {
      // It ended between the look and the signal, or it is another user's, and then it is reported as left.
    }
  }
}
