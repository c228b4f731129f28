/**
 * Looks at all chains of this process together, so that many runs cost no more looks than one. By polling: a kqueue tells of
 * forks (NOTE_FORK), but only to a thread that waits for it, which koffi has not.
 */
import type { Clock, Timer } from "../../clock.ts";
import { takeSnapshot, type Chain } from "./chain.ts";
import type { Xnu } from "./xnu.ts";

/** Between two looks while a tree grows, and when nothing has been new for long. */
const lookMsMin = 2;
const lookMsMax = 500;
/** Of the pause, after a look that found nothing new. */
const growth = 1.5;

export class Rescans {
  readonly #xnu: () => Xnu;
  readonly #clock: Clock;
  readonly #chains = new Set<Chain>();
  #pauseMs = lookMsMin;
  #timer: Timer | undefined;

  constructor(xnu: () => Xnu, clock: Clock) {
    this.#xnu = xnu;
    this.#clock = clock;
  }

  add(chain: Chain): void {
    this.#chains.add(chain);
    this.#pauseMs = lookMsMin;
    this.#plan();
  }

  remove(chain: Chain): void {
    this.#chains.delete(chain);
    if (this.#chains.size === 0) this.#timer?.clear();
  }

  #plan(): void {
    this.#timer?.clear();
    if (this.#chains.size > 0) this.#timer = this.#clock.after(this.#pauseMs, () => this.#look());
  }

  #look(): void {
    const snapshot = takeSnapshot(this.#xnu());
    for (const chain of this.#chains) chain.look(snapshot);
    const isChanging = [...this.#chains].some((chain) => chain.isChanging);
    this.#pauseMs = isChanging ? lookMsMin : Math.min(this.#pauseMs * growth, lookMsMax);
    this.#plan();
  }
}
