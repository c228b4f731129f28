/** A client's roots: asked for once before the first pooled server, and again after each change notification. */
import type { Clock, Timer } from "../../clock.ts";
import type { ClientRoots } from "../servers/binding.ts";

/** After this time a silent client is treated as one with unique roots. */
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

  /** The client's answer; false when it belongs to another question. */
  hear(number: number, body: Buffer): boolean {
    if (this.#waiting?.number !== number) return false;
    const { result } = JSON.parse(body.toString()) as { result?: { roots?: unknown } };
    this.#settle(Array.isArray(result?.roots) ? result.roots : this.#own);
    return true;
  }

  /** Its answer from the previous front. */
  restore(roots: unknown): void {
    this.#settle(roots);
  }

  changed(): void {
    this.#wasAsked = false;
  }

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
