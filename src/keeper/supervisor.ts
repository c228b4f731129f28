/**
 * Keeps one helper process of the keeper alive: the front or the guardian. One lives at a time. An exit and a refused start are
 * the same event; concurrent requests join; a stop wins over everything.
 */
import type { Clock, Timer } from "../clock.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import type { RestartIntensity } from "./intensity.ts";

export type SupervisorState = "idle" | "starting" | "serving" | "draining" | "gone";

/**
 *   idle ──> starting ──> serving ──> draining
 *     │        │  │ └────────│──────────^  │
 *     │        │  └──────────┤             │
 *     └────────│─────────────┴──> gone <───┘
 *              └──<──────────────── ┘
 */
const allowed: Record<SupervisorState, readonly SupervisorState[]> = {
  idle: ["starting", "gone"],
  starting: ["serving", "draining", "gone"],
  serving: ["draining", "gone"],
  draining: ["gone"],
  gone: ["starting"],
};

/** The next state. An illegal move is a defect and throws. */
export function transition(from: SupervisorState, to: SupervisorState): SupervisorState {
  if (!allowed[from].includes(to)) throw new HoldfastError("internal", `a helper cannot go from ${from} to ${to}`);
  return to;
}

/** How a helper's life ended. */
export interface HelperEnd {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** Reason of a refused start; null = it lived. */
  refused: string | null;
}

/** One life of a helper. */
export interface Helper {
  readonly pid: number;
  /** Asks it to end. */
  drain(reason: string): void;
  /** Ends it by force. The process is our unreaped child, so its pid cannot have been reused. */
  kill(): void;
}

export interface SupervisorParts<H extends Helper> {
  /** Starts one, or throws. `onEnd` runs once, after its exit or a refused start. */
  spawn(onEnd: (end: HelperEnd) => void): H;
  /** Time to drain before it is killed, in milliseconds. */
  drainBoundMs: number;
  /** Limit on deaths. Refused starts do not count: they are retried until one succeeds. */
  intensity: RestartIntensity;
  clock: Clock;
  onStart(helper: H): void;
  /** It is gone; `planned` when this supervisor ended it. Runs before the next start. */
  onEnd(end: HelperEnd, planned: boolean): void;
  /** It died too often. There will be no further starts. */
  onGivenUp(): void;
}

/** A serving helper restarts at once after its first death. Each further wait is twice the previous one, in milliseconds. */
const firstWaitMs = 100;
const longestWaitMs = 1000;
/** Time for the kernel to end a killed helper; state D can outlast any bound. */
const killBoundMs = 2000;

export class Supervisor<H extends Helper> {
  readonly #parts: SupervisorParts<H>;
  readonly #clock: Clock;
  readonly #served = new Set<(served: boolean) => void>();
  #state: SupervisorState = "idle";
  #helper: H | undefined;
  /** Ends and refused starts since one last served. */
  #failures = 0;
  #again: Timer | undefined;
  #late: Timer | undefined;
  #restarting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #gone: (() => void) | undefined;
  /** Reason of the last refused start; null = it succeeded. */
  problem: string | null = null;
  /** Starts after the first one. */
  restarts = -1;

  constructor(parts: SupervisorParts<H>) {
    this.#parts = parts;
    this.#clock = parts.clock;
  }

  get state(): SupervisorState {
    return this.#state;
  }

  /** The live one; undefined between two lives. */
  get helper(): H | undefined {
    return this.#helper;
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /** Starts the first one and keeps it alive. Later calls do nothing. */
  start(): void {
    if (this.#state === "idle" && !this.isClosed) this.#start();
  }

  /** It serves from now on. */
  serves(): void {
    if (this.#state !== "starting") return; // a drain or stop requested earlier wins
    this.#enter("serving");
    this.#failures = 0;
    this.#tellServed(true);
  }

  /** Whether one serves, now or within `boundMs`. */
  whenServing(boundMs: number): Promise<boolean> {
    if (this.#state === "serving") return Promise.resolve(true);
    if (this.isClosed) return Promise.resolve(false);
    return new Promise((resolve) => {
      const tell = (served: boolean) => {
        late.clear();
        this.#served.delete(tell);
        resolve(served);
      };
      const late = this.#clock.after(boundMs, () => tell(false));
      this.#served.add(tell);
    });
  }

  /**
   * Replaces the serving helper. Resolves when the new one serves, or when a stop came first. If one is already being started,
   * the request joins it.
   */
  restart(reason: string): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    this.#restarting ??= new Promise<void>((resolve) => {
      this.#served.add(() => resolve());
      if (this.#state === "serving") this.#drain(reason);
      else if (this.#state === "idle" || this.#again !== undefined) this.#start(); // skip the wait on request
    }).finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  /** Ends it permanently, whatever is under way. Resolves when it is gone. Returns the same promise each time. */
  close(reason: string): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: string): Promise<void> {
    this.#again?.clear();
    this.#tellServed(false);
    if (this.#state === "idle" || this.#state === "gone") return;
    const gone = new Promise<void>((resolve) => {
      this.#gone = resolve;
    });
    if (this.#state !== "draining") this.#drain(reason);
    // A stop is bounded even if the kernel cannot end the process.
    const bound = this.#clock.after(this.#parts.drainBoundMs + killBoundMs, () => this.#gone?.());
    await gone;
    bound.clear();
  }

  #start(): void {
    this.#again?.clear();
    this.#again = undefined;
    this.#enter("starting");
    this.restarts += 1;
    // A helper may end within the call that starts it, before its object is known.
    let ended: HelperEnd | undefined;
    let helper: H | undefined;
    const onEnd = (end: HelperEnd) => {
      ended ??= end;
      if (helper !== undefined && this.#helper === helper) this.#ended(end);
    };
    try {
      helper = this.#parts.spawn(onEnd);
    } catch (thrown) {
      this.#ended({ exitCode: null, signal: null, refused: asHoldfastError(thrown).message });
      return;
    }
    this.#helper = helper;
    if (ended !== undefined) return this.#ended(ended);
    // No pid, no process: the reason follows in the next turn.
    if (helper.pid === 0) return;
    this.problem = null;
    this.#parts.onStart(helper);
  }

  #drain(reason: string): void {
    const helper = this.#helper;
    this.#enter("draining");
    helper?.drain(reason);
    this.#late = this.#clock.after(this.#parts.drainBoundMs, () => helper?.kill());
  }

  #ended(end: HelperEnd): void {
    const planned = this.#state === "draining";
    this.#late?.clear();
    this.#helper = undefined;
    this.#enter("gone");
    this.problem = end.refused ?? this.problem;
    this.#parts.onEnd(end, planned);
    this.#gone?.();
    if (this.isClosed) return;
    if (planned) return this.#start();
    // A refused start is not a death.
    if (end.refused === null && !this.#parts.intensity.allows(this.#clock.monotonic())) {
      this.#parts.onGivenUp();
      return;
    }
    this.#failures += 1;
    if (end.refused === null && this.#failures === 1) return this.#start();
    const exponent = Math.min(this.#failures - 1, 10);
    this.#again = this.#clock.after(Math.min(firstWaitMs * 2 ** exponent, longestWaitMs), () => this.#start());
  }

  #tellServed(served: boolean): void {
    for (const tell of this.#served) tell(served);
    this.#served.clear();
  }

  #enter(state: SupervisorState): void {
    this.#state = transition(this.#state, state);
  }
}

/** A supervised process as `status` shows it. */
export abstract class Supervised<H extends Helper> {
  protected abstract readonly supervisor: Supervisor<H>;

  /** 0 = none lives. */
  get pid(): number {
    return this.supervisor.helper?.pid ?? 0;
  }

  get restarts(): number {
    return Math.max(0, this.supervisor.restarts);
  }

  get state(): SupervisorState {
    return this.supervisor.state;
  }

  /** Reason of the last refused start; null = it succeeded. */
  get problem(): string | null {
    return this.supervisor.problem;
  }
}
