/**
 * What the front has to tell its keeper about requests and lines, but not at once: empty frames that leave with the next line,
 * or a moment later by themselves. So the keeper's books cost no write of their own while there is traffic.
 */
import type { Clock, Timer } from "../../clock.ts";
import { encodeHeader, flags } from "./frames.ts";

/** How long a notice may wait for a line to leave with, in milliseconds. */
const waitMsMax = 50;
/** Notices that wait together; more leave at once. */
const waitingMax = 256;

export class Notices {
  readonly #clock: Clock;
  readonly #leave: (notices: Buffer) => void;
  #waiting: Buffer[] = [];
  /** Lines taken in so far, by channel, where the keeper has not heard of the latest. */
  readonly #lines = new Map<number, number>();
  #timer: Timer | undefined;

  /** `leave` writes notices that found no line to leave with. */
  constructor(clock: Clock, leave: (notices: Buffer) => void) {
    this.#clock = clock;
    this.#leave = leave;
  }

  /** A request needs no answer any more; `asker` is `flags.fromServer` if the server asked it. */
  closed(channel: number, request: number, asker = 0): void {
    this.#waiting.push(encodeHeader(channel, 0, flags.closes | asker, request));
    if (this.#waiting.length >= waitingMax) this.#leave(this.take());
    else this.#arm();
  }

  /** So many lines of the channel have been dealt with since the front took it over. */
  heard(channel: number, lines: number): void {
    this.#lines.set(channel, lines);
    this.#arm();
  }

  forget(channel: number): void {
    this.#lines.delete(channel);
  }

  /** All that waits, as bytes for the data pipe; empty if nothing does. */
  take(): Buffer {
    if (this.#waiting.length === 0 && this.#lines.size === 0) return nothing;
    const notices = this.#waiting;
    this.#waiting = [];
    for (const [channel, lines] of this.#lines) notices.push(encodeHeader(channel, 0, flags.heard, lines));
    this.#lines.clear();
    return notices.length === 1 ? notices[0]! : Buffer.concat(notices);
  }

  /** The timer is left running when notices leave early: to set it for each would cost more than it saves. */
  #arm(): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#clock.after(waitMsMax, () => {
      this.#timer = undefined;
      const notices = this.take();
      if (notices.length > 0) this.#leave(notices);
    });
  }
}

const nothing = Buffer.alloc(0);
