/** Simulated time and the order of all events in it, drawn from one seed, so that failures can be replayed. */
import { setImmediate as turn } from "node:timers/promises";
import type { Clock, Timer } from "../../clock.ts";
import { SeededRandom } from "./random.ts";

/** A source of steps other than timers: the processes of a machine. */
export interface Actor {
  /** Takes one step. False: nothing to do now. */
  step(): boolean;
  /** The time of its next step, if only time brings that. */
  dueMs(): number | undefined;
}

interface Entry {
  readonly atMs: number;
  readonly action: () => void;
  readonly isLive: () => boolean;
}

/** 2026-01-01, in milliseconds since 1970. */
const startMs = 1_767_225_600_000;
/** Longest duration of a process step. */
const stepMsMax = 0.05;

export class Simulation {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly #actors: Actor[] = [];
  #timers: Entry[] = [];
  #nowMs = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = new SeededRandom(seed);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  add(actor: Actor): void {
    this.#actors.push(actor);
  }

  /** The clock of one process: its timers never fire after its death. */
  clock(isLive: () => boolean = () => true): Clock {
    const after = (ms: number, action: () => void): Timer => this.#after(ms, action, isLive);
    return {
      now: () => startMs + this.#nowMs,
      monotonic: () => this.#nowMs,
      after,
      every(ms, action) {
        let timer: Timer;
        const again = () => {
          timer = after(ms, again);
          action();
        };
        timer = after(ms, again);
        return { clear: () => timer.clear() };
      },
      soon: (action) => after(0, action),
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const timer = after(ms, resolve);
          const stop = () => {
            timer.clear();
            reject(new DOMException("The operation was aborted", "AbortError"));
          };
          if (signal?.aborted === true) stop();
          else signal?.addEventListener("abort", stop, { once: true });
        }),
    };
  }

  /** Plays until `work` settles. Rejects when it can no longer settle, or exceeds `boundMs` of simulated time. */
  async run<T>(work: Promise<T>, boundMs = 600_000): Promise<T> {
    const endMs = this.#nowMs + boundMs;
    const state = { isSettled: false };
    const settled = () => (state.isSettled = true);
    void work.then(settled, settled);
    await turn();
    while (!state.isSettled) {
      if (this.#nowMs > endMs) throw new Error(`not over after ${boundMs} ms of simulated time`);
      if (!this.#step()) throw new Error("nothing will ever happen again, and it is not over");
      await turn();
    }
    return work;
  }

  /** Lets this much simulated time pass. */
  async pass(ms: number): Promise<void> {
    await this.run(this.clock().sleep(ms));
  }

  #after(ms: number, action: () => void, isLive: () => boolean): Timer {
    const entry: Entry = { atMs: this.#nowMs + Math.max(ms, 0), action, isLive };
    const place = this.#timers.findIndex(({ atMs }) => atMs > entry.atMs);
    this.#timers.splice(place === -1 ? this.#timers.length : place, 0, entry);
    return { clear: () => (this.#timers = this.#timers.filter((each) => each !== entry)) };
  }

  /** One event: a due timer, a process step, or a jump to the next due time. False: there will be none. */
  #step(): boolean {
    const [timer] = this.#timers;
    const isDue = timer !== undefined && timer.atMs <= this.#nowMs;
    if ((!isDue || this.random.chance(0.5)) && this.#stepActor()) return true;
    if (!isDue) {
      const next = Math.min(timer?.atMs ?? Infinity, ...this.#actors.map((actor) => actor.dueMs() ?? Infinity));
      if (next === Infinity) return false;
      this.#nowMs = Math.max(this.#nowMs, next);
      return true;
    }
    this.#timers.shift();
    if (timer.isLive()) timer.action();
    return true;
  }

  #stepActor(): boolean {
    const first = this.random.below(this.#actors.length);
    for (let index = 0; index < this.#actors.length; index += 1) {
      const actor = this.#actors[(first + index) % this.#actors.length];
      if (actor?.step() !== true) continue;
      this.#nowMs += this.random.fraction() * stepMsMax;
      return true;
    }
    return false;
  }
}
