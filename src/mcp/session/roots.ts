/** What a client answers to `roots/list`: asked once before the first pooled server, and again when it says they changed. */
import type { Clock, Timer } from "../../clock.ts";
import type { ClientRoots } from "../servers/binding.ts";

/** A client that does not answer in so long is treated as one whose roots nobody else has. */
const answerMs = 5000;

export class AskedRoots implements ClientRoots {
  readonly #clock: Clock;
  readonly #ask: () => number;
  readonly #own: object;
  #wasAsked: boolean;
  #now: unknown;
  #waiting: { number: number; timer: Timer; done: PromiseWithResolvers<unknown> } | undefined;

  /** `ask` sends the question and returns its id. */
  constructor(clock: Clock, hasRoots: boolean, sessionId: string, ask: () => number) {
    this.#clock = clock;
    this.#ask = ask;
    this.#wasAsked = !hasRoots;
    this.#own = { unknownTo: sessionId };
  }

  get now(): unknown {
    return this.#now;
  }

  get wasAsked(): boolean {
    return this.#wasAsked;
  }

  learn(): Promise<unknown> {
    if (this.#wasAsked) return Promise.resolve(this.#now);
    if (this.#waiting === undefined) {
      const done = Promise.withResolvers<unknown>();
      const timer = this.#clock.after(answerMs, () => this.#settle(this.#own));
      this.#waiting = { number: this.#ask(), timer, done };
    }
    return this.#waiting.done.promise;
  }

  /** The client's answer; false when it is not to our question. */
  hear(number: number, body: Buffer): boolean {
    if (this.#waiting?.number !== number) return false;
    const { result } = JSON.parse(body.toString()) as { result?: { roots?: unknown } };
    this.#settle(Array.isArray(result?.roots) ? result.roots : this.#own);
    return true;
  }

  /** What it answered in the front before. */
  restore(roots: unknown): void {
    this.#settle(roots);
  }

  changed(): void {
    this.#wasAsked = false;
  }

  /** The session ended. */
  close(): void {
    this.#settle(this.#own);
  }

  #settle(roots: unknown): void {
    this.#wasAsked = true;
    this.#now = roots;
    this.#waiting?.timer.clear();
    this.#waiting?.done.resolve(roots);
    this.#waiting = undefined;
  }
}
