/** WebSocket clients that come, leave in order, vanish, or close only one half, and the faults of `test/gateway/helpers/faults.ts`. */
import { setTimeout as delay } from "node:timers/promises";
import type { FrontConfig } from "../../src/protocol/keeper/front-config.ts";
import { faults } from "../../test/gateway/helpers/faults.ts";
import { RawWebSocket } from "../../test/gateway/helpers/frames.ts";
import { Socket } from "../../test/gateway/helpers/socket.ts";
import type { Part, Place } from "./part.ts";

const socketsMax = 40;
/** Of one step: connections come in bursts. */
const movesMax = 8;
/** Percent. */
const chances = { leave: 48, politely: 40, withToken: 92, session: 25, halfClose: 12 };
/** Over the deadline of a fault, for the clean-up of its client. */
const faultSlackMs = 1000;

export class Sockets implements Part {
  readonly done = { connections: 0, vanished: 0, halfClosed: 0 };
  readonly #place: Place;
  readonly #open = new Set<Socket>();
  readonly #half = new Set<RawWebSocket>();

  constructor(place: Place) {
    this.#place = place;
  }

  async step(): Promise<void> {
    for (let moves = 1 + this.#place.random.int(movesMax); moves > 0; moves--) await this.#move();
  }

  async #move(): Promise<void> {
    const { random, gateway } = this.#place;
    for (const socket of this.#open) if (socket.ws.readyState === socket.ws.CLOSED) this.#open.delete(socket);
    const [oldest] = this.#open;
    if (oldest !== undefined && (this.#open.size >= socketsMax || random.chance(chances.leave)))
      return this.#end(oldest);
    this.done.connections++;
    if (random.chance(chances.halfClose)) return this.#closeHalf();
    const socket = await Socket.open(gateway.url, random.chance(chances.withToken) ? { token: gateway.token } : {});
    this.#open.add(socket);
    if (random.chance(chances.session)) socket.call("session.open", { leaseMs: 500 }).catch(() => {}); // a front may go first
  }

  async #end(socket: Socket): Promise<void> {
    this.#open.delete(socket);
    if (this.#place.random.chance(chances.politely)) socket.ws.close();
    else this.done.vanished++;
    await socket[Symbol.asyncDispose]();
  }

  /** Says its end and keeps its descriptor. */
  async #closeHalf(): Promise<void> {
    const { url, token } = this.#place.gateway;
    const raw = await RawWebSocket.open(url, token);
    this.done.halfClosed++;
    raw.socket.end();
    this.#half.add(raw);
    raw.socket.once("close", () => this.#half.delete(raw));
  }

  async rest(): Promise<void> {
    for (const socket of this.#open) await this.#end(socket);
    for (const { socket } of this.#half) socket.destroy();
  }
}

export class Faults implements Part {
  readonly done = { connections: 0, faults: 0 };
  readonly #place: Place;
  readonly #limits: FrontConfig["connections"];
  readonly #playing = new Set<Promise<void>>();

  constructor(place: Place, limits: FrontConfig["connections"]) {
    this.#place = place;
    this.#limits = limits;
  }

  async step(): Promise<void> {
    this.done.faults++;
    this.done.connections++;
    const playing: Promise<void> = this.#play()
      .catch(() => {}) // the front was replaced under it
      .finally(() => this.#playing.delete(playing));
    this.#playing.add(playing);
  }

  async #play(): Promise<void> {
    const { random, gateway } = this.#place;
    const limits = this.#limits;
    const fault = random.pick(faults);
    const { url, token } = gateway;
    const { clean } = await fault.start({ url, token, limits });
    await delay(fault.deadlineMs(limits) + faultSlackMs);
    await clean();
  }

  async settle(): Promise<void> {
    await Promise.all(this.#playing);
  }

  rest(): Promise<void> {
    return this.settle();
  }
}
