/** Numbers lifecycle events, keeps the newest for returning subscribers, and delivers them. */
import type { Clock } from "../clock.ts";
import type { Sources } from "../random.ts";

interface BusEvent {
  /** From 1, in steps of one, per stream. */
  seq: number;
  name: string;
  /** Milliseconds since 1970. */
  at: number;
  data: unknown;
}

/** An event with its JSON text, serialized once for all subscribers. */
export interface KeptEvent {
  event: BusEvent;
  json: string;
}

const eventsMaxDefault = 4096;
const charactersMaxDefault = 4 * 1024 * 1024;
/** Share that remains after trimming. */
const keptShare = 7 / 8;

export class EventBus {
  /** Identifies the numbering: each front starts its own. */
  readonly stream: string;
  readonly #clock: Clock;
  readonly #eventsMax: number;
  readonly #charactersMax: number;
  /** The newest events; `seq` is at index `seq - #firstSeq`. */
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

  /** `seq` of the newest event; 0 before the first. */
  get last(): number {
    return this.#firstSeq + this.#kept.length - 1;
  }

  /** Returns `seq`. `data` must be plain JSON and must not change afterwards. */
  publish(name: string, data: object): number {
    const event = { seq: this.last + 1, name, at: this.#clock.now(), data };
    const kept = { event, json: JSON.stringify(event) };
    this.#kept.push(kept);
    this.#characters += kept.json.length;
    this.#forget();
    for (const listener of this.#listeners) listener(kept);
    return event.seq;
  }

  /** Events after `seq`, oldest first; `gap` when some are no longer kept or never existed. */
  since(seq: number): KeptEvent[] | "gap" {
    if (seq > this.last || seq < this.#firstSeq - 1) return "gap";
    return this.#kept.slice(seq - this.#firstSeq + 1);
  }

  /** Returns the function that unsubscribes. */
  subscribe(listener: (kept: KeptEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Drops many at once: shifting an array per event would be slow. */
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
