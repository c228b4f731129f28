/**
 * Keeps a server that fails from being started over and over: after each failure in a row the next start must wait twice as
 * long; after so many the circuit is open, and only one trial at a time is let through. One answered call closes it.
 * A server that says nothing at all fails late, so it also remembers that a list waited for it in vain: later ones do not.
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
/** A start that may happen within so short a time is worth the wait; others are refused. */
const patienceMs = 2000;

export class Breaker {
  readonly #server: string;
  readonly #clock: Clock;
  #failures = 0;
  #notBefore = 0;
  #trying = false;
  #last = "";
  #isSilent = false;
  /** What gives each start's place at the gate back. */
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

  /** A list waited for it in vain, and it has not come up since: no other list waits for it, whichever session asks. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** False: no start of it is under way, so that nothing can be said against it. */
  waitedInVain(): boolean {
    if (this.#begun.size === 0) return false;
    this.#isSilent = true;
    for (const leave of this.#begun) leave();
    return true;
  }

  /** It came up, and told its lists. */
  cameUp(): void {
    this.#isSilent = false;
  }

  /**
   * Takes a start through the gate; returns what must be called when it is over. A silent server takes no place from those that
   * answer: it gives back what it has, and asks for none.
   */
  async enter(gate: StartGate): Promise<() => void> {
    const leave = this.#isSilent ? () => {} : await gate.enter();
    this.#begun.add(leave);
    if (this.#isSilent) leave(); // while it stood in line
    return () => {
      this.#begun.delete(leave);
      leave();
    };
  }

  /** For lists of a silent server: one look at a time; whoever comes meanwhile looks once that one has shown it up. */
  async look(action: () => Promise<unknown>): Promise<void> {
    const before = this.#look;
    if (before !== undefined) {
      await before;
      if (!this.#isSilent) await action();
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

  /** Resolves when a start may be tried, soon; rejects with `server_down` when not. */
  async admit(): Promise<void> {
    const waitMs = this.#notBefore - this.#clock.monotonic();
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
    this.#notBefore = this.#clock.monotonic() + ms;
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
