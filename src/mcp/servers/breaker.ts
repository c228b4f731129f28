/**
 * Limits restarts of a failing server: each failure in a row doubles the wait before the next start; after several the
 * circuit is open, and a single trial at a time is allowed. One answered call closes it. A silent server fails late,
 * so after one list has timed out on it, later lists do not wait.
 *
 *   closed ──failures──▶ waiting (500 ms, 1 s, 2 s …) ──5th──▶ open (30 s) ──▶ trial ──answered──▶ closed
 */
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import type { StartGate } from "./start-gate.ts";

/** First wait; doubled with each further failure. */
const backOffMs = 500;
const failuresMax = 5;
const openMs = 30_000;
/** A caller waits at most this long for the next allowed start; a longer wait is refused. */
const patienceMs = 2000;

export class Breaker {
  readonly #server: string;
  readonly #clock: Clock;
  #failures = 0;
  #notBefore = 0;
  #trying = false;
  #last = "";
  #silentSince: number | null = null;
  /** Returns each start's slot in the gate. */
  readonly #begun = new Set<() => void>();
  #look: Promise<void> | undefined;

  constructor(server: string, clock: Clock) {
    this.#server = server;
    this.#clock = clock;
  }

  get state(): "closed" | "waiting" | "open" {
    if (this.#failures === 0) return "closed";
    return this.#failures >= failuresMax ? "open" : "waiting";
  }

  get failures(): number {
    return this.#failures;
  }

  get lastFailure(): string {
    return this.#last;
  }

  /** A list timed out on it since it last came up, so lists of all sessions skip it. */
  get isSilent(): boolean {
    return this.#silentSince !== null;
  }

  /** When that list gave up, in milliseconds since 1970; null while it answers. */
  get silentSince(): number | null {
    return this.#silentSince;
  }

  /** False: no start is under way, so the server is not to blame. */
  waitedInVain(): boolean {
    if (this.#begun.size === 0) return false;
    this.#silentSince ??= this.#clock.now();
    for (const leave of this.#begun) leave();
    return true;
  }

  /** It came up and sent its lists. */
  cameUp(): void {
    this.#silentSince = null;
  }

  /**
   * Takes a start through the gate; returns the function to call at its end. A silent server leaves the slots to
   * responsive ones: it returns its own and takes no more.
   */
  async enter(gate: StartGate): Promise<() => void> {
    const leave = this.isSilent ? () => {} : await gate.enter();
    this.#begun.add(leave);
    if (this.isSilent) leave(); // it turned silent while waiting
    return () => {
      this.#begun.delete(leave);
      leave();
    };
  }

  /** Serializes list fetches of a silent server: later callers wait, and fetch only if it came up. */
  async look(action: () => Promise<unknown>): Promise<void> {
    const before = this.#look;
    if (before !== undefined) {
      await before;
      if (!this.isSilent) await action();
      return;
    }
    const looking = action();
    this.#look = looking.then(
      () => {},
      () => {},
    );
    try {
      await looking;
    } finally {
      this.#look = undefined;
    }
  }

  /** Resolves when a start is allowed, now or soon; rejects with `server_down` otherwise. */
  async admit(): Promise<void> {
    const waitMs = this.#notBefore - this.#clock.monotonic();
    if (waitMs > patienceMs || (this.state === "open" && this.#trying)) throw this.#refusal(Math.max(waitMs, 0));
    if (this.state === "open") this.#trying = true;
    if (waitMs > 0) await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
  }

  /** The start failed, or the server exited before it answered a call. */
  failed(outcome: string): void {
    this.#trying = false;
    this.#last = outcome;
    this.#failures++;
    const ms = this.#failures >= failuresMax ? openMs : backOffMs * 2 ** (this.#failures - 1);
    this.#notBefore = this.#clock.monotonic() + ms;
  }

  /** We cancelled the start, which says nothing about the server. */
  undecided(): void {
    this.#trying = false;
  }

  /** It answered a call, or lived as long as it was needed. */
  succeeded(): void {
    this.#trying = false;
    this.#failures = 0;
    this.#notBefore = 0;
  }

  #refusal(waitMs: number): HoldfastError {
    const name = `MCP server ${JSON.stringify(this.#server)}`;
    const when =
      waitMs === 0 ? "a trial start is under way" : `the next start is tried in ${Math.ceil(waitMs / 1000)} s`;
    const what = this.state === "open" ? "its circuit breaker is open" : "it is restarted with growing pauses";
    const message = `${name} failed ${this.#failures} times in a row, so ${what}; ${when}. Last: ${this.#last}`;
    return new HoldfastError("server_down", message);
  }
}
