/** Hands one subscriber the events from where it was: at its own pace, out of what the bus keeps, with no queue of its own. */
import type { Clock } from "../clock.ts";
import type { EventBus, KeptEvent } from "./event-bus.ts";
import type { Peer } from "./methods/handlers.ts";

export interface FeedParts {
  bus: EventBus;
  clock: Clock;
  peer: Peer;
  /** Undefined: every event. */
  names: ReadonlySet<string> | undefined;
  /** The number of the last event that it has seen. */
  after: number;
  /** The id of a session as this subscriber may see it. */
  show: (sessionId: string) => string;
}

export class EventFeed {
  readonly #parts: FeedParts;
  readonly #leaveBus: () => void;
  readonly #leavePeer: () => void;
  #seen: number;
  #pumping = false;
  #ended = false;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#seen = parts.after;
    this.#leaveBus = parts.bus.subscribe(() => this.#wake());
    this.#leavePeer = parts.peer.onGone(() => this.end());
  }

  /** What is kept already goes out after the answer to the subscription. */
  start(): void {
    this.#parts.clock.soon(() => this.#wake());
  }

  end(): void {
    this.#ended = true;
    this.#leaveBus();
    this.#leavePeer();
  }

  #wake(): void {
    if (this.#pumping || this.#ended) return;
    this.#pumping = true;
    void this.#pump().finally(() => (this.#pumping = false));
  }

  async #pump(): Promise<void> {
    const { bus, peer, names, show } = this.#parts;
    while (!this.#ended && this.#seen < bus.last) {
      const kept = bus.since(this.#seen);
      if (kept === "gap") return this.#tellGap();
      for (const each of kept) {
        const { event } = each;
        this.#seen = event.seq;
        if (names !== undefined && !names.has(event.name)) continue;
        if (peer.notifyJson("event", shownJson(each, show))) continue;
        // The rest is read from the bus again once this reader has caught up.
        await peer.drained();
        break;
      }
    }
  }

  /** It read so slowly that the bus forgot what it has not seen. */
  #tellGap(): void {
    const { bus, peer } = this.#parts;
    peer.notify("events.gap", { stream: bus.stream, after: this.#seen, last: bus.last });
    this.end();
  }
}

/** Fields of events that name a session. */
const sessionFields = ["session", "parent"] as const;

/** Nearly always the text that was made once for all. */
function shownJson({ event, json }: KeptEvent, show: FeedParts["show"]): string {
  const data = event.data as Partial<Record<string, unknown>>;
  const shown = sessionFields.flatMap((field) => {
    const id = data[field];
    const told = typeof id === "string" ? show(id) : id;
    return told === id ? [] : [[field, told] as const];
  });
  return shown.length === 0 ? json : JSON.stringify({ ...event, data: { ...data, ...Object.fromEntries(shown) } });
}
