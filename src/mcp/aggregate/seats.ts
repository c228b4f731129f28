/** The seats of one session: one at each of its servers, put anew where the config says another thing of a server. */
import type { FrontServer } from "../../protocol/keeper/messages.ts";
import type { Log } from "../../log.ts";
import type { ScopeClosed } from "../../ownership/scope.ts";
import type { Session } from "../../sessions/session.ts";
import type { Seat } from "../pool/seat.ts";

export interface SeatSetParts {
  session: Session;
  log: Log;
  make: (server: FrontServer) => Seat;
}

export class SeatSet {
  readonly #parts: SeatSetParts;
  #byName: Map<string, Seat>;
  /** In the order of the config. */
  all: Seat[];

  constructor(servers: FrontServer[], parts: SeatSetParts) {
    this.#parts = parts;
    this.#byName = new Map(servers.map((server) => [server.name, this.#take(server)]));
    this.all = [...this.#byName.values()];
  }

  named(name: string): Seat | undefined {
    return this.#byName.get(name);
  }

  /**
   * Seats at exactly these servers from now on; a server that is the same object keeps its seat. Calls on a server that is
   * not among them end at once, calls on one that changed go to their end. `fresh`: the seats that were not there before.
   * `ended` resolves when what is not offered any more is gone; it never rejects.
   */
  replace(servers: FrontServer[]): { fresh: Seat[]; ended: Promise<void> } {
    const before = this.#byName;
    const kept = (server: FrontServer) => {
      const seat = before.get(server.name);
      return seat?.server === server ? seat : undefined;
    };
    this.#byName = new Map(servers.map((server) => [server.name, kept(server) ?? this.#take(server)]));
    this.all = [...this.#byName.values()];
    const old = [...before.values()].filter((seat) => this.#byName.get(seat.name) !== seat);
    const fresh = this.all.filter((seat) => before.get(seat.name) !== seat);
    const [drained, ended]: [Promise<void>[], Promise<void>[]] = [[], []];
    for (const seat of old)
      if (this.#byName.has(seat.name)) drained.push(this.#report(seat, seat.drain()));
      else ended.push(this.#report(seat, seat.end(notOffered(seat.name))));
    return { fresh, ended: Promise.all(ended).then(() => {}) };
  }

  #take(server: FrontServer): Seat {
    const { session, make } = this.#parts;
    const seat = make(server);
    // One of its own has its processes in a scope of its own, below the session's.
    if (seat.isPooled) session.scope.add(seat, `seat at ${seat.name}`);
    return seat;
  }

  /** The session lives on, so nobody but this would say what could not be ended. */
  async #report(seat: Seat, closed: Promise<ScopeClosed | void>): Promise<void> {
    const { session, log } = this.#parts;
    const { failures = [] } = (await closed) ?? {};
    session.scope.release(seat);
    for (const { name, error } of failures)
      log("session.leftover", {
        session: session.id,
        server: seat.name,
        reason: "config-changed",
        name,
        error: String(error),
      });
  }
}

export function notOffered(server: string): string {
  return `MCP server ${JSON.stringify(server)} was taken out of the config, or cannot be had now; \`holdfast mcp status\` says why`;
}
