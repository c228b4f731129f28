/** Tells the keeper that the event loop runs, and which handler started last. */
import type { Clock, Timer } from "../clock.ts";
import type { KeeperLink } from "../protocol/keeper/link.ts";

const beatMs = 1000;

export class Heartbeat {
  readonly #link: KeeperLink;
  readonly #clock: Clock;
  readonly #timer: Timer;
  #lastMethod = "start";
  #lastBeat: number;
  #lagMs = 0;

  constructor(link: KeeperLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
    this.#lastBeat = clock.monotonic();
    this.#timer = clock.every(beatMs, () => this.#beat());
  }

  /** Longest event-loop delay since the last call, in milliseconds. */
  takeLagMs(): number {
    const lagMs = this.#lagMs;
    this.#lagMs = 0;
    return lagMs;
  }

  #beat(): void {
    const now = this.#clock.monotonic();
    this.#lagMs = Math.max(this.#lagMs, now - this.#lastBeat - beatMs);
    this.#lastBeat = now;
    this.#link.heartbeat(this.#lastMethod);
  }

  /** Called before each handler. Sent only when the method changes. */
  announce(method: string): void {
    if (method === this.#lastMethod) return;
    this.#lastMethod = method;
    this.#link.heartbeat(method);
  }

  [Symbol.dispose](): void {
    this.#timer.clear();
  }
}
