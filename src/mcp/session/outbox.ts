/** Buffers server messages, within limits, until the client opens its stream. */
import type { Question } from "../servers/client.ts";

const entriesMax = 256;
const bytesMax = 1024 * 1024;
/** An undelivered question is answered with an error after this time: the server waits for it. */
export const questionWaitMsMax = 30_000;

interface Entry {
  event: Buffer;
  question: Question | undefined;
  since: number;
}

export class Outbox {
  readonly #onUnheard: (question: Question) => void;
  #entries: Entry[] = [];
  #bytes = 0;

  /** `onUnheard` runs for each undeliverable question. */
  constructor(onUnheard: (question: Question) => void) {
    this.#onUnheard = onUnheard;
  }

  /** The oldest notifications make room; a question without room is undeliverable. */
  add(event: Buffer, question: Question | undefined, now: number): void {
    this.#entries.push({ event, question, since: now });
    this.#bytes += event.length;
    while (this.#entries.length > entriesMax || this.#bytes > bytesMax) {
      const oldest = this.#entries.find((entry) => entry.question === undefined) ?? this.#entries.at(-1)!;
      this.#remove(oldest);
      if (oldest.question !== undefined) this.#onUnheard(oldest.question);
    }
  }

  /** Takes everything out, in order. */
  take(): Buffer[] {
    const events = this.#entries.map((entry) => entry.event);
    this.#entries = [];
    this.#bytes = 0;
    return events;
  }

  /** Removes a question that its server cancelled before delivery. */
  withdraw(question: Question): boolean {
    const entry = this.#entries.find((each) => each.question === question);
    if (entry === undefined) return false;
    this.#remove(entry);
    return true;
  }

  /** Gives up on questions that waited too long. */
  expire(now: number): void {
    for (const entry of this.#entries.filter((each) => each.question !== undefined)) {
      if (now - entry.since < questionWaitMsMax) continue;
      this.#remove(entry);
      this.#onUnheard(entry.question!);
    }
  }

  #remove(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    this.#bytes -= entry.event.length;
  }
}
