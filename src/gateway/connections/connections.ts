/** All TCP connections of this process: counted, bounded, checked once a tick, and ended in bounded time. */
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
import { ownSystem, type OwnSystem } from "../../platform/self/index.ts";
import { LoopTime } from "./loop-time.ts";

/** Share of the descriptor limit above which work is refused: at the limit accept fails silently. */
const descriptorShare = 0.8;
const tickMsMax = 1000;
const tickMsMin = 50;
/** Checks per deadline. */
const ticksPerDeadline = 5;

export class Connections {
  readonly limits: ConnectionLimits;
  /** Above this, 503. */
  readonly softMax: number;
  readonly time: LoopTime;
  /** Closed connections by reason. */
  readonly closes = new Map<CloseReason, number>();
  readonly #tickMs: number;
  readonly #all = new Set<Connection>();
  /** Unauthenticated ones by address, oldest first. */
  readonly #unproven = new Map<string, Set<Connection>>();
  readonly #states = new Map<ConnectionState, number>(connectionStates.map((state) => [state, 0]));
  readonly #closedListeners: ((connection: Connection) => void)[] = [];
  readonly #clock: Clock;
  readonly #system: OwnSystem;
  #ticking: Timer | undefined;
  #onEmpty: (() => void) | undefined;
  #nextLook = 0;

  constructor(limits: ConnectionLimits, clock: Clock, system: OwnSystem = ownSystem) {
    this.limits = limits;
    this.#clock = clock;
    this.#system = system;
    const descriptors = system.usage()?.descriptorsMax ?? Infinity;
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

  /** `listener` gets each closed connection and its reason. */
  onClosed(listener: (connection: Connection) => void): void {
    this.#closedListeners.push(listener);
  }

  watch(server: Server): void {
    // Slightly more, so that most excess clients get a 503 instead of a closed port.
    server.maxConnections = this.softMax + Math.ceil(this.softMax / 16);
    server.on("connection", (socket: Socket) => this.#accept(socket));
    // An idle HTTP connection: ended in order, else reset.
    server.on("timeout", (socket: Socket) => this.end(socket, "idle"));
  }

  /** Ends our side first, then resets if the other side does not follow. */
  end(socket: Socket, reason: CloseReason, farewell: () => void = () => socket.end()): void {
    connectionOf(socket)?.close(reason, this.time.now, farewell);
  }

  /** Resolves when all are closed. HTTP ones are reset after `boundMs`, WebSockets after their own close timeout. */
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

  /** Too many unauthenticated ones from one address: the oldest makes room. */
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

  /** HTTP clients without TCP acknowledgements. The kernel's table is read only if there are candidates. */
  #endUnheard(now: number): void {
    const clients = [...this.#all].filter(({ kind, proven }) => kind === "http" && proven);
    if (clients.length === 0) return;
    const isUnacknowledged = this.#system.unacknowledged();
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
