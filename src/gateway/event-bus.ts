/** Lifecycle events of this front: numbered, kept for a while for those who come back, handed to those who listen. */
import type { Clock } from "../clock.ts";
import type { Sources } from "../random.ts";

interface BusEvent {
  /** Counts up by one from 1, in this stream. */
  seq: number;
  name: string;
  /** Milliseconds since 1970. */
  at: number;
  data: unknown;
}

/** An event with its JSON text, made once however many listen. */
export interface KeptEvent {
  event: BusEvent;
  json: string;
}

const eventsMaxDefault = 4096;
const charactersMaxDefault = 4 * 1024 * 1024;
/** How full the store is left when it was full. */
const keptShare = 7 / 8;

export class EventBus {
  /** Names this numbering: a new front counts anew, and a number of the old one must not be taken for its own. */
  readonly stream: string;
  readonly #clock: Clock;
  readonly #eventsMax: number;
  readonly #charactersMax: number;
  /** The newest events; the one with number `seq` stands at `seq - #firstSeq`. */
  #kept: KeptEvent[] = [];
  #firstSeq = 1;
  #characters = 0;
  readonly #listeners = new Set<(kept: KeptEvent) => void>();

  constructor({ clock, random }: Sources, eventsMax = eventsMaxDefault, charactersMax = charactersMaxDefault) {
    this.#clock = clock;
    this.stream = random.bytes(9).toString("base64url");
    this.#eventsMax = eventsMax;
    this.#charactersMax = charactersMax;
  }

  /** Number of the newest event; 0 before the first. */
  get last(): number {
    return this.#firstSeq + this.#kept.length - 1;
  }

  /** Returns the event's number. `data` must be plain JSON and must not be changed afterwards. */
  publish(name: string, data: object): number {
    const event = { seq: this.last + 1, name, at: this.#clock.now(), data };
    const kept = { event, json: JSON.stringify(event) };
    this.#kept.push(kept);
    this.#characters += kept.json.length;
    this.#forget();
    for (const listener of this.#listeners) listener(kept);
    return event.seq;
  }

  /** The events after number `seq`, oldest first; `gap` when some of them are forgotten or never were. */
  since(seq: number): KeptEvent[] | "gap" {
    if (seq > this.last || seq < this.#firstSeq - 1) return "gap";
    return this.#kept.slice(seq - this.#firstSeq + 1);
  }

  /** Returns what ends the subscription. */
  subscribe(listener: (kept: KeptEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Drops the oldest, many at a time: dropping one from an array's front with each event would cost. */
  #forget(): void {
    if (this.#kept.length <= this.#eventsMax && this.#characters <= this.#charactersMax) return;
    let drop = 0;
    const isMuch = () =>
      this.#kept.length - drop > this.#eventsMax * keptShare || this.#characters > this.#charactersMax * keptShare;
    while (drop < this.#kept.length && isMuch()) this.#characters -= this.#kept[drop++]!.json.length;
    this.#kept = this.#kept.slice(drop);
    this.#firstSeq += drop;
  }
}
