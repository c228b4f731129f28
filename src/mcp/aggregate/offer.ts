/** What one session is offered: the lists of its servers as one, and word to its client when they are others. */
import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { Session } from "../../sessions/session.ts";
import type { ListName } from "../upstream/handshake.ts";
import type { ClientSide } from "./client-side.ts";
import type { MirroredParam } from "../mirrored-params.ts";
import type { Seat } from "../pool/seat.ts";
import { merge, type Merged, type Part } from "./merge.ts";
import { splitName } from "./names.ts";
import type { SeatSet } from "./seats.ts";

/** How long a list waits for servers that must be started for it; the ones that come later are told as a changed list. */
const listingMsMax = 20_000;

export interface OfferParts {
  seats: SeatSet;
  isPrefixed: boolean;
  session: Session;
  client: ClientSide;
  clock: Clock;
  log: Log;
}

export class Offer {
  readonly #parts: OfferParts;
  /** What the client was shown last, to tell it when there is something else. */
  #shown: Merged | undefined;

  constructor(parts: OfferParts) {
    this.#parts = parts;
  }

  /** What is known in time; servers are started for it. One that fails is left out, and said so in the log. */
  async merged(): Promise<Merged> {
    const { session, isPrefixed, log } = this.#parts;
    const merged = merge(await this.#facts(), isPrefixed);
    if (this.#shown !== merged && merged.clashes.length > 0)
      log("mcp.clash", { session: session.id, clashes: merged.clashes });
    if (this.#shown !== merged) for (const left of merged.unlisted) log("mcp.unlisted", left);
    this.#shown = merged;
    return merged;
  }

  /** What is known now, without any start. */
  now(): Merged {
    return merge(this.#known(), this.#parts.isPrefixed);
  }

  /** Parameters of a tool that its calls say again in headers. Undefined: what its server offers is not known yet. */
  mirrored(tool: string): MirroredParam[] | undefined {
    const seat = this.#seatOf(tool);
    if (seat !== undefined && seat.facts === undefined) return undefined;
    return this.now().mirrored.get(tool) ?? [];
  }

  /** The same, by a start of the server if need be. Rejects with why it cannot be started. */
  async learnMirrored(tool: string): Promise<MirroredParam[]> {
    await this.#seatOf(tool)?.learn();
    return this.mirrored(tool) ?? [];
  }

  #seatOf(tool: string): Seat | undefined {
    const { seats, isPrefixed } = this.#parts;
    if (!isPrefixed) return seats.all[0];
    const names = seats.all.map(({ name }) => name);
    const { server = "" } = this.now().tools.resolve(tool) ?? splitName(tool, names) ?? {};
    return seats.named(server);
  }

  /** The client was shown in the front before what is known now. */
  show(): void {
    this.#shown = this.now();
  }

  /** Tells the client which lists are others than it was shown; with `isUnknown` any of them may be. */
  changed(isUnknown = false): void {
    const before = this.#shown;
    if (before === undefined) return;
    const now = this.now();
    this.#shown = now;
    const { client } = this.#parts;
    const say = (what: string) => client.say({ jsonrpc: "2.0", method: `notifications/${what}/list_changed` });
    const isOther = (name: ListName) =>
      !before.lists[name].equals(now.lists[name]) || (isUnknown && before.capabilities[name] !== undefined);
    for (const name of ["tools", "prompts"] as const) if (isOther(name)) say(name);
    if (isOther("resources") || isOther("resourceTemplates")) say("resources");
  }

  async #facts(): Promise<Part[]> {
    const { seats, session, clock, log } = this.#parts;
    const missing = seats.all.filter((seat) => !seat.isKnown);
    if (missing.length > 0) {
      const learnt = missing.map((seat) =>
        seat.learn().catch((error: unknown) => {
          if (!session.ended) log("mcp.unlisted", { server: seat.name, error: String(error) });
        }),
      );
      const late = Promise.withResolvers<void>();
      const timer = clock.after(listingMsMax, late.resolve);
      await Promise.race([Promise.all(learnt), late.promise]);
      timer.clear();
    }
    return this.#known();
  }

  #known(): Part[] {
    return this.#parts.seats.all.flatMap(({ name, facts }) => (facts === undefined ? [] : [{ server: name, facts }]));
  }
}
