/** Credit-based flow control, the same at both ends: a sender may have so much on the way per channel and in all. */

/** Bytes on the way per channel before its source is paused. */
export const channelWindowBytes = 256 * 1024;
/** Bytes on the way over all channels of one direction before every source is paused. */
export const totalWindowBytes = 4 * 1024 * 1024;
/**
 * What a line of a server counts for besides its bytes, towards the front: reading one costs as much as some hundred bytes. A
 * server that prints short lines without end would else have so many on the way that everybody's answers wait behind them.
 */
export const lineCostBytes = 256;
/** A receiver gives credit back in lumps, so that small messages do not cost a control message each. */
export const creditLumpBytes = 32 * 1024;

/** The sender's book: what is out and not yet credited. `onRoom` runs when sending may go on. */
export class SendWindow {
  #total = 0;
  readonly #out = new Map<number, number>();
  readonly #waiting = new Map<number, () => void>();

  sent(channel: number, bytes: number): void {
    this.#total += bytes;
    this.#out.set(channel, (this.#out.get(channel) ?? 0) + bytes);
  }

  hasRoom(channel: number): boolean {
    return this.#total < totalWindowBytes && (this.#out.get(channel) ?? 0) < channelWindowBytes;
  }

  /** One waiter per channel; a second call replaces the first. */
  whenRoom(channel: number, onRoom: () => void): void {
    if (this.hasRoom(channel)) onRoom();
    else this.#waiting.set(channel, onRoom);
  }

  /** Credit beyond what is out is ignored: a peer cannot widen its window by lying. */
  credited(channel: number, bytes: number): void {
    const out = this.#out.get(channel) ?? 0;
    const back = Math.min(out, bytes);
    if (back === out) this.#out.delete(channel);
    else this.#out.set(channel, out - back);
    this.#total -= back;
    this.#wake();
  }

  forget(channel: number): void {
    this.#waiting.delete(channel);
    this.credited(channel, Number.MAX_SAFE_INTEGER);
  }

  #wake(): void {
    for (const [channel, onRoom] of this.#waiting) {
      if (!this.hasRoom(channel)) continue;
      this.#waiting.delete(channel);
      onRoom();
    }
  }
}

/** Owed over all channels before everything is given back: many quiet channels must not hold the total window shut. */
const owedTotalMax = totalWindowBytes / 4;

/** The receiver's book: counts what was consumed and gives it back in lumps. */
export class CreditMeter {
  #owedTotal = 0;
  readonly #owed = new Map<number, number>();
  readonly #give: (channel: number, bytes: number) => void;

  constructor(give: (channel: number, bytes: number) => void) {
    this.#give = give;
  }

  consumed(channel: number, bytes: number): void {
    const owed = (this.#owed.get(channel) ?? 0) + bytes;
    this.#owed.set(channel, owed);
    this.#owedTotal += bytes;
    if (owed >= creditLumpBytes) this.#settle(channel, owed);
    else if (this.#owedTotal >= owedTotalMax) for (const [each, owes] of this.#owed) this.#settle(each, owes);
  }

  forget(channel: number): void {
    this.#owedTotal -= this.#owed.get(channel) ?? 0;
    this.#owed.delete(channel);
  }

  #settle(channel: number, owed: number): void {
    this.forget(channel);
    this.#give(channel, owed);
  }
}
