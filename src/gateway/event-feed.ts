/** Feeds one subscriber from the bus at its own pace, without a queue of its own. */
import type { Clock } from "../clock.ts";
import type { EventBus, KeptEvent } from "./event-bus.ts";
import type { Peer } from "./methods/handlers.ts";

export interface FeedParts {
  bus: EventBus;
  clock: Clock;
  peer: Peer;
  /** Undefined: all. */
  names: ReadonlySet<string> | undefined;
  /** `seq` of the last event it has seen. */
  after: number;
  /** A session id as this subscriber may see it. */
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

  /** Kept events follow the answer to the subscription. */
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
        // Resumes from the bus once the reader has caught up.
        await peer.drained();
        break;
      }
    }
  }

  /** It was too slow: unseen events were dropped. */
  #tellGap(): void {
    const { bus, peer } = this.#parts;
    peer.notify("events.gap", { stream: bus.stream, after: this.#seen, last: bus.last });
    this.end();
  }
}

/** Event fields with session ids. */
const sessionFields = ["session", "parent"] as const;

/** Nearly always the shared text. */
function shownJson({ event, json }: KeptEvent, show: FeedParts["show"]): string {
  const data = event.data as Partial<Record<string, unknown>>;
  const shown = sessionFields.flatMap((field) => {
    const id = data[field];
    const told = typeof id === "string" ? show(id) : id;
    return told === id ? [] : [[field, told] as const];
  });
  return shown.length === 0 ? json : JSON.stringify({ ...event, data: { ...data, ...Object.fromEntries(shown) } });
}
