/** The network between simulated machines: connections with delays, which can be cut, half-cut, or stand still. */
import type { Server } from "node:http";
import type { listenAll } from "../../src/gateway/listen.ts";
import type { Process } from "../../src/platform/simulated/process.ts";
import type { Simulation, TimerOwner } from "../../src/platform/simulated/simulation.ts";
import { SimulatedSocket } from "../../src/platform/simulated/wire.ts";

interface Listener {
  readonly server: Server;
  readonly owner: Process;
}

/** Longest time on the way, between machines. */
const delayMs = 3;
const firstPort = 40_000;

export interface Connected {
  readonly socket: SimulatedSocket;
  /** Both directions. */
  readonly lines: { isHeld: boolean; release(): void }[];
  readonly ends: readonly [SimulatedSocket, SimulatedSocket];
}

export class Network {
  readonly #simulation: Simulation;
  readonly #listeners = new Map<number, Listener>();
  readonly #open = new Set<Connected>();
  #lastPort = firstPort;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** Connections of which an end is open. */
  get open(): Connected[] {
    return [...this.#open];
  }

  isListening(port: number): boolean {
    return this.#listeners.get(port)?.owner.isAlive === true;
  }

  /** Ends the connections whose other end is gone without a word. */
  resetOfTheDead(): void {
    for (const connected of this.#open) {
      const { ends } = connected;
      if (ends.every(({ owner }) => owner.isAlive)) continue;
      if (ends.every(({ owner, destroyed }) => destroyed || !owner.isAlive)) this.#open.delete(connected);
      for (const end of ends)
        if (end.owner.isAlive) end.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
    }
  }

  /** In place of `listenAll`, for one process. */
  listenFor(owner: Process): typeof listenAll {
    return async (servers, { bind, port, scheme }) => {
      const chosen = port === 0 ? ++this.#lastPort : port;
      if (this.isListening(chosen))
        throw Object.assign(new Error(`listen EADDRINUSE: address already in use :${chosen}`), { code: "EADDRINUSE" });
      const [server] = servers;
      if (server === undefined) throw new Error("nothing to listen with");
      this.#listeners.set(chosen, { server, owner });
      const close = () => {
        if (this.#listeners.get(chosen)?.server === server) this.#listeners.delete(chosen);
      };
      for (const each of servers)
        each.close = (done) => {
          close();
          done?.();
          return each;
        };
      owner.whenOver(close);
      return { port: chosen, addresses: bind, urls: [`${scheme}://${bind[0]}:${chosen}`] };
    };
  }

  /** Throws ECONNREFUSED where nobody listens. */
  connect(port: number, owner: TimerOwner | Process): Connected {
    const listener = this.#listeners.get(port);
    if (listener === undefined || !listener.owner.isAlive)
      throw Object.assign(new Error(`connect ECONNREFUSED 127.0.0.1:${port}`), { code: "ECONNREFUSED" });
    const here = { owner, address: "127.0.0.1", port: ++this.#lastPort };
    const there = { owner: listener.owner, address: "127.0.0.1", port };
    const [socket, served, lines] = SimulatedSocket.pair(this.#simulation, here, there, delayMs);
    const connected: Connected = { socket, lines, ends: [socket, served] };
    this.#open.add(connected);
    // The end of a process that is gone counts as closed.
    const look = () => {
      if ([socket, served].every((end) => end.destroyed || !end.owner.isAlive)) this.#open.delete(connected);
    };
    socket.once("close", look);
    served.once("close", look);
    for (const end of [socket, served])
      if ("whenOver" in end.owner)
        (end.owner as Process).whenOver(() => {
          if (!end.destroyed) end.vanish();
          look();
        });
    // Until its server takes it, its end is with the system, which tells nobody.
    const unheard = () => {};
    served.on("error", unheard);
    this.#simulation.clock(listener.owner).soon(() => {
      served.off("error", unheard);
      if (!served.destroyed) listener.server.emit("connection", served);
    });
    return connected;
  }
}
