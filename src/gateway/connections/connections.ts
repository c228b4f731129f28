/** Every TCP connection of this process: counted, bounded, judged once a tick, and ended within a bounded time. */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { Clock, Timer } from "../../clock.ts";
import {
  Connection,
  connectionOf,
  connectionStates,
  type CloseReason,
  type ConnectionLimits,
  type ConnectionState,
} from "./connection.ts";
import { ownUsage, unacknowledged } from "../../platform/self/index.ts";
import { LoopTime } from "./loop-time.ts";

/** Share of the descriptor limit at which new work is refused: at the limit itself accept fails without a word. */
const descriptorShare = 0.8;
const tickMsMax = 1000;
const tickMsMin = 50;
/** Looks at each deadline so many times before it is over. */
const ticksPerDeadline = 5;

export class Connections {
  readonly limits: ConnectionLimits;
  /** Above this, requests are answered 503. */
  readonly softMax: number;
  readonly time: LoopTime;
  /** Ended ones by reason, since the start. */
  readonly closes = new Map<CloseReason, number>();
  readonly #tickMs: number;
  readonly #all = new Set<Connection>();
  /** Those that have not proven who they are, oldest first, by address. */
  readonly #unproven = new Map<string, Set<Connection>>();
  readonly #states = new Map<ConnectionState, number>(connectionStates.map((state) => [state, 0]));
  readonly #closedListeners: ((connection: Connection) => void)[] = [];
  readonly #clock: Clock;
  #ticking: Timer | undefined;
  #onEmpty: (() => void) | undefined;
  #nextLook = 0;

  constructor(limits: ConnectionLimits, clock: Clock, descriptors = ownUsage()?.descriptorsMax ?? Infinity) {
    this.limits = limits;
    this.#clock = clock;
    this.softMax = Math.min(limits.max, Math.floor(descriptors * descriptorShare));
    const { headMs, authMs, closingMs, slowMs, heartbeatGraceMs } = limits;
    const shortest = Math.min(headMs, authMs, closingMs, slowMs, heartbeatGraceMs);
    this.#tickMs = Math.min(tickMsMax, Math.max(tickMsMin, shortest / ticksPerDeadline));
    this.time = new LoopTime(this.#tickMs, clock);
  }

  get size(): number {
    return this.#all.size;
  }

  get crowded(): boolean {
    return this.#all.size > this.softMax;
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#all.values();
  }

  count(state: ConnectionState): number {
    return this.#states.get(state) ?? 0;
  }

  /** `listener` hears of each one that is gone, with its reason. */
  onClosed(listener: (connection: Connection) => void): void {
    this.#closedListeners.push(listener);
  }

  watch(server: Server): void {
    // A little room above, so that most of those who come too many hear a 503 instead of a closed door.
    server.maxConnections = this.softMax + Math.ceil(this.softMax / 16);
    server.on("connection", (socket: Socket) => this.#accept(socket));
    // An HTTP connection that idles: told in order, and reset if it does not go.
    server.on("timeout", (socket: Socket) => this.end(socket, "idle"));
  }

  /** Ends a connection in order: our end first, and a reset if the other side does not follow. */
  end(socket: Socket, reason: CloseReason, farewell: () => void = () => socket.end()): void {
    connectionOf(socket)?.close(reason, this.time.now, farewell);
  }

  /** Resolves when none is left. HTTP ones that stay are reset after `boundMs`; WebSockets when the time is over that their end gave them. */
  drained(boundMs: number): Promise<void> {
    if (this.#all.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.after(boundMs, () => {
        for (const connection of this.#all) if (connection.kind === "http") connection.reset();
      });
      this.#onEmpty = () => {
        timer.clear();
        resolve();
      };
    });
  }

  #accept(socket: Socket): void {
    if (this.#all.size === 0) this.time.resume();
    this.#ticking ??= this.#clock.every(this.#tickMs, () => this.#tick());
    const connection = new Connection(socket, this.limits, this.time.now, (one, before) => this.#moved(one, before));
    this.#all.add(connection);
    this.#count("accepted", 1);
    this.#admitUnproven(connection);
  }

  /** Too many of one address that have not said who they are: the oldest makes room, for a client of ours needs a moment only. */
  #admitUnproven(connection: Connection): void {
    const { address } = connection;
    let same = this.#unproven.get(address);
    if (same === undefined) this.#unproven.set(address, (same = new Set()));
    same.add(connection);
    if (same.size <= this.limits.unprovenPerAddressMax) return;
    const [oldest] = same;
    oldest?.close("crowded", this.time.now);
  }

  #moved(connection: Connection, before: ConnectionState): void {
    const { state } = connection;
    this.#count(before, -1);
    if (state !== "closed") this.#count(state, 1);
    if (before === "accepted" || before === "authenticating") {
      if (state !== "authenticating") this.#leaveUnproven(connection);
    }
    if (state !== "closed") return;
    this.#all.delete(connection);
    const reason = (connection.reason ??= "client-left");
    this.closes.set(reason, (this.closes.get(reason) ?? 0) + 1);
    for (const listener of this.#closedListeners) listener(connection);
    if (this.#all.size > 0) return;
    this.#ticking?.clear();
    this.#ticking = undefined;
    this.#onEmpty?.();
  }

  /** HTTP clients whose answers nobody acknowledges any more. The kernel's table is read only when there is such a client. */
  #endUnheard(now: number): void {
    const clients = [...this.#all].filter(({ kind, proven }) => kind === "http" && proven);
    if (clients.length === 0) return;
    const isUnacknowledged = unacknowledged();
    for (const client of clients) if (isUnacknowledged(client.socket)) client.close("unheard", now);
  }

  #leaveUnproven(connection: Connection): void {
    const same = this.#unproven.get(connection.address);
    same?.delete(connection);
    if (same?.size === 0) this.#unproven.delete(connection.address);
  }

  #count(state: ConnectionState, by: number): void {
    this.#states.set(state, (this.#states.get(state) ?? 0) + by);
  }

  #tick(): void {
    const now = this.time.tick(this.#tickMs);
    for (const connection of this.#all) connection.check(now);
    if (now < this.#nextLook) return;
    this.#nextLook = now + this.limits.heartbeatMs;
    this.#endUnheard(now);
  }
}
