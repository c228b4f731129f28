/** Ends this process when a part of what it plays takes more processor time than it may: a loop that never ends must end. */
import { writeSync } from "node:fs";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import type { Found } from "./patched-play.ts";

const lookMs = 100;

interface Shared {
  readonly names: string[];
  /** The number of the part, and its bound in milliseconds of processor time. */
  readonly now: Int32Array;
}

export class Watchdog {
  readonly #now: Int32Array;

  constructor(names: string[]) {
    this.#now = new Int32Array(new SharedArrayBuffer(8));
    const shared: Shared = { names, now: this.#now };
    new Worker(new URL(import.meta.url), { workerData: shared, execArgv: [] }).unref();
  }

  /** The next part begins. */
  begin(number: number, boundMs: number): void {
    Atomics.store(this.#now, 1, boundMs);
    Atomics.store(this.#now, 0, number);
  }
}

function watch({ names, now }: Shared): void {
  let [number, beganMs] = [-1, 0];
  setInterval(() => {
    const { user, system } = process.cpuUsage();
    const usedMs = (user + system) / 1000;
    const current = Atomics.load(now, 0);
    if (current !== number) [number, beganMs] = [current, usedMs];
    const boundMs = Atomics.load(now, 1);
    if (usedMs - beganMs < boundMs) return;
    const found: Found = { by: names[number] ?? "limit", promise: `not over after ${boundMs} ms of processor time` };
    writeSync(1, `${JSON.stringify(found)}\n`);
    process.kill(process.pid, "SIGKILL");
  }, lookMs);
}

if (!isMainThread) watch(workerData as Shared);
