/** Simulated time and the order of all events in it, drawn from one seed, so that failures can be replayed. */
import type { Clock, Timer } from "../../clock.ts";
import type { MachineTime } from "./machine-time.ts";
import { SeededRandom } from "./random.ts";

/** A source of steps other than timers: the processes of a machine. */
export interface Actor {
  /** Takes one step. False: nothing to do now. */
  step(): boolean;
  /** The time of its next step, if only time brings that. */
  dueMs(): number | undefined;
}

/** The process that a timer belongs to: it never fires after its death, and waits while it is stopped. */
export interface TimerOwner {
  readonly isAlive: boolean;
  readonly isStopped: boolean;
  /** Of its machine; undefined: true time. */
  readonly time?: MachineTime | undefined;
  /** Runs when it is no longer stopped. */
  whenContinued?(action: () => void): void;
}

/** What is done at the first moment of its kind. */
interface Watch {
  readonly isNow: () => boolean;
  readonly action: () => void;
}

const nobody: TimerOwner = { isAlive: true, isStopped: false };

interface Entry {
  atMs: number;
  readonly action: () => void;
  readonly owner: TimerOwner;
}

/** When simulated time begins: 2026-01-01, in milliseconds since 1970. */
export const startMs = 1_767_225_600_000;
/** Well above the rounding of a time in hours. */
const roundingMs = 1e-6;
/** Node runs what a step made due before the next one; a turn of its loop for each would take longer than the step. */
const stepsPerTurn = 64;
/** Longest duration of a process step. */
const stepMsMax = 0.05;

export class Simulation {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly #actors: Actor[] = [];
  #timers: Entry[] = [];
  /** Of suspended machines: the timers of before, and what reaches them meanwhile. */
  readonly #parked = new Map<MachineTime, { own: Entry[]; arrived: Entry[] }>();
  readonly #watches = new Set<Watch>();
  #nowMs = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = new SeededRandom(seed);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** How many timers wait for this process. */
  timersOf(owner: TimerOwner): number {
    return this.#timers.filter((entry) => entry.owner === owner).length;
  }

  add(actor: Actor): void {
    this.#actors.push(actor);
  }

  remove(actor: Actor): void {
    const at = this.#actors.indexOf(actor);
    if (at !== -1) this.#actors.splice(at, 1);
  }

  clock(owner = nobody): Clock {
    const { time } = owner;
    const after = (ms: number, action: () => void): Timer => this.after(ms, action, owner);
    return {
      now: () => Math.floor(startMs + this.#nowMs + (time?.wallOffsetMs ?? 0)),
      monotonic: () => time?.monotonic(this.#nowMs) ?? this.#nowMs,
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
    await new Promise<void>((resolve, reject) => {
      const step = () => {
        if (state.isSettled) return resolve();
        try {
          if (this.#nowMs > endMs) throw new Error(`not over after ${boundMs} ms of simulated time`);
          for (const watch of this.#watches) {
            if (!watch.isNow() || !this.#watches.delete(watch)) continue;
            watch.action();
          }
          if (!this.#step()) throw new Error("nothing will ever happen again, and it is not over");
        } catch (thrown) {
          state.isSettled = true;
          reject(thrown);
        }
      };
      const turn = () => {
        for (let count = 0; count < stepsPerTurn; count += 1) setImmediate(step);
        if (!state.isSettled) setImmediate(turn);
      };
      setImmediate(turn);
    });
    return work;
  }

  /** From now on nothing happens on a machine. */
  suspend(time: MachineTime): void {
    if (time.isSuspended) return;
    time.suspend(this.#nowMs);
    const isParked = ({ owner }: Entry) => owner.time === time;
    this.#parked.set(time, { own: this.#timers.filter(isParked), arrived: [] });
    this.#timers = this.#timers.filter((entry) => !isParked(entry));
  }

  /** It goes on as if no time had passed. What reached it meanwhile arrives now. */
  resume(time: MachineTime): void {
    const lastedMs = time.resume(this.#nowMs);
    const { own, arrived } = this.#parked.get(time) ?? { own: [], arrived: [] };
    this.#parked.delete(time);
    for (const entry of own) entry.atMs += lastedMs;
    for (const entry of arrived) entry.atMs = Math.max(entry.atMs, this.#nowMs);
    for (const entry of [...own, ...arrived]) this.#place(entry);
  }

  /** Runs `action` before the first event at which `isNow` holds: all that earlier events made due has been done by then. */
  when(isNow: () => boolean, action: () => void): Timer {
    const watch = { isNow, action };
    this.#watches.add(watch);
    return { clear: () => void this.#watches.delete(watch) };
  }

  /** Lets this much simulated time pass. */
  async pass(ms: number): Promise<void> {
    await this.run(this.clock().sleep(ms));
  }

  after(ms: number, action: () => void, owner: TimerOwner): Timer {
    let isCleared = false;
    const again = () => this.#place({ atMs: this.#nowMs, action: fire, owner });
    const fire = () => {
      if (isCleared) return;
      if (owner.isStopped) owner.whenContinued?.(again);
      else action();
    };
    // A wait for less than a rounding would be over at once, and begin again for ever.
    const waitMs = ms > 0 ? Math.max(ms, roundingMs) : 0;
    const entry: Entry = { atMs: this.#nowMs + waitMs, action: fire, owner };
    if (owner.time?.isSuspended === true) this.#parked.get(owner.time)?.arrived.push(entry);
    else this.#place(entry);
    return {
      clear: () => {
        isCleared = true;
        const at = this.#timers.indexOf(entry);
        if (at !== -1) this.#timers.splice(at, 1);
      },
    };
  }

  /** In order of time; those of one moment in the order of their making. */
  #place(entry: Entry): void {
    let place = this.#timers.length;
    while (place > 0 && this.#timers[place - 1]!.atMs > entry.atMs) place -= 1;
    this.#timers.splice(place, 0, entry);
  }

  /** One event: a due timer or a process step, after a jump to its time if nothing is due now. False: there will be none. */
  #step(): boolean {
    for (;;) {
      const [timer] = this.#timers;
      const isDue = timer !== undefined && timer.atMs <= this.#nowMs;
      if ((!isDue || this.random.chance(0.5)) && this.#stepActor()) return true;
      if (isDue) {
        this.#timers.shift();
        if (timer.owner.isAlive) timer.action();
        return true;
      }
      const next = Math.min(timer?.atMs ?? Infinity, ...this.#actors.map((actor) => actor.dueMs() ?? Infinity));
      if (next === Infinity) return false;
      // A due time of a machine that stood still can be rounded to just before its own clock's.
      this.#nowMs = Math.max(this.#nowMs + roundingMs, next);
    }
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
