/**
 * Keeps a server that fails from being started over and over: after each failure in a row the next start must wait twice as
 * long; after so many the circuit is open, and only one trial at a time is let through. One answered call closes it.
 *
 *   closed ──failures──▶ waiting (500 ms, 1 s, 2 s …) ──5th──▶ open (30 s) ──▶ trial ──answered──▶ closed
 */
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";

/** First wait; doubled with each further failure. */
const backOffMs = 500;
const failuresMax = 5;
const openMs = 30_000;
/** A start that may happen within so short a time is worth the wait; others are refused. */
const patienceMs = 2000;

export class Breaker {
  readonly #server: string;
  readonly #clock: Clock;
  #failures = 0;
  #notBefore = 0;
  #trying = false;
  #last = "";

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

  /** Resolves when a start may be tried, soon; rejects with `server_down` when not. */
  async admit(): Promise<void> {
    const waitMs = this.#notBefore - this.#clock.now();
    if (waitMs > patienceMs || (this.state === "open" && this.#trying)) throw this.#refusal(Math.max(waitMs, 0));
    if (this.state === "open") this.#trying = true;
    if (waitMs > 0) await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
  }

  /** The start failed, or the server ended by itself without having answered a call. */
  failed(outcome: string): void {
    this.#trying = false;
    this.#last = outcome;
    this.#failures++;
    const ms = this.#failures >= failuresMax ? openMs : backOffMs * 2 ** (this.#failures - 1);
    this.#notBefore = this.#clock.now() + ms;
  }

  /** The start was given up by us, which says nothing about the server. */
  undecided(): void {
    this.#trying = false;
  }

  /** It answered a call, or lived until it was not needed any more. */
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
