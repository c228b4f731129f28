/** The way from a node to its gateway, which can be cut in one direction or both, and mended with or without the bytes on it. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { ConnectTcp } from "../../src/nodes/node/connect.ts";
import type { Process } from "../../src/platform/simulated/process.ts";
import type { Simulation } from "../../src/platform/simulated/simulation.ts";
import type { Connected, Network } from "./network.ts";

export type Direction = "both" | "to the gateway" | "to the node";

const handshakeMs = 3;

/** A connection attempt that nothing answers. */
class Unanswered extends Duplex {
  readonly remoteAddress = "127.0.0.1";
  readonly setNoDelay = (): this => this;
  override _read(): void {}
}

export class NodeLink {
  readonly #network: Network;
  readonly #simulation: Simulation;
  #cut: Direction | undefined;
  readonly #made = new Set<Connected>();

  constructor(network: Network, simulation: Simulation) {
    this.#network = network;
    this.#simulation = simulation;
  }

  /** In place of `net.connect`, for one process of the node. */
  connectFor(own: Process): ConnectTcp {
    const clock = this.#simulation.clock(own);
    return ({ port }) => {
      if (this.#cut !== undefined) return new Unanswered() as unknown as Socket;
      try {
        const connected = this.#network.connect(port, own);
        this.#made.add(connected);
        const { socket } = connected;
        socket.once("close", () => this.#made.delete(connected));
        own.whenOver(() => this.#made.delete(connected));
        clock.after(handshakeMs, () => socket.destroyed || socket.emit("connect"));
        return socket as unknown as Socket;
      } catch (thrown) {
        const refused = new Unanswered();
        clock.after(handshakeMs, () => refused.destroy(thrown as Error));
        return refused as unknown as Socket;
      }
    };
  }

  get isConnected(): boolean {
    return this.#made.size > 0;
  }

  get isCut(): boolean {
    return this.#cut !== undefined;
  }

  /** Nothing arrives, and no new connection is made. */
  cut(direction: Direction): void {
    this.#cut = direction;
    for (const line of this.#lines(direction)) line.isHeld = true;
  }

  /** `isWhole`: what was under way arrives; otherwise its connections are reset, as by a router that forgot them. */
  mend(isWhole: boolean): void {
    const lines = this.#lines("both");
    this.#cut = undefined;
    if (!isWhole) this.reset();
    for (const line of lines) line.release();
  }

  /** The connections of now break. */
  reset(): void {
    for (const { ends } of this.#made)
      for (const end of ends)
        if (end.owner.isAlive && !end.destroyed)
          end.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
  }

  /** The connections of now stand still while new ones work; what was under way arrives when `release` is called. */
  hold(direction: Direction): { release(): void } {
    const lines = this.#lines(direction);
    for (const line of lines) line.isHeld = true;
    return { release: () => lines.forEach((line) => line.release()) };
  }

  #lines(direction: Direction): Connected["lines"][number][] {
    return [...this.#made].flatMap(({ lines: [up, down] }) => {
      if (direction === "both") return [up!, down!];
      return direction === "to the gateway" ? [up!] : [down!];
    });
  }
}
