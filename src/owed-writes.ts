/** Writes to a database that a full disk refused: done as soon as there is room, in their order. */
import type { Clock, Timer } from "./clock.ts";

/** Retry interval. */
const retryMs = 1000;

export class OwedWrites {
  readonly #clock: Clock;
  readonly #onRefused: (thrown: unknown, key: string) => void;
  /** By key, oldest first. */
  readonly #owed = new Map<string, () => void>();
  #retry: Timer | undefined;
  #isClosed = false;

  /** `onRefused` is told of the first refusal, and of no other until everything owed is written. */
  constructor(clock: Clock, onRefused: (thrown: unknown, key: string) => void) {
    this.#clock = clock;
    this.#onRefused = onRefused;
  }

  /** Writes after all that is owed, now or once there is room; an owed write with the same key is replaced. Never throws. */
  do(key: string, write: () => void): void {
    this.#owed.set(key, write);
    this.#pay();
  }

  /** Gives up an owed write. False: none is owed under that key. */
  drop(key: string): boolean {
    return this.#owed.delete(key);
  }

  /** One last attempt; what is refused from now on is lost. */
  close(): void {
    this.#isClosed = true;
    this.#pay();
    this.#retry?.clear();
  }

  #pay(): void {
    for (const [key, write] of this.#owed) {
      try {
        write();
      } catch (thrown) {
        if (this.#retry === undefined) this.#onRefused(thrown, key);
        else this.#retry.clear();
        if (this.#isClosed) this.#owed.clear();
        else this.#retry = this.#clock.after(retryMs, () => this.#pay());
        return;
      }
      this.#owed.delete(key);
    }
    this.#retry?.clear();
    this.#retry = undefined;
  }
}
