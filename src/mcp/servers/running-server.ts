/**
 * One started MCP server and its time: it ends when nobody had a call on it for `idleTimeoutMs`, and takes no new calls
 * after `maxLifetimeMs`. A server with a call in flight, or with a subscription, is busy and never idle.
 */
import type { Clock, Timer } from "../../clock.ts";
import type { EndReason, FrontServer } from "../../protocol/keeper/messages.ts";
import type { InitializeResult } from "./handshake.ts";
import type { Client } from "./client.ts";
import type { Upstream } from "./upstream.ts";
import type { Wire } from "./wire.ts";

/** Time for a server to say that it took a subscription back. */
const unsubscribeMs = 5000;

export class RunningServer {
  readonly upstream: Upstream;
  readonly initialize: InitializeResult;
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #lifeTimer: Timer | undefined;
  #idleTimer: Timer | undefined;
  #retired = false;
  readonly #onRetired: () => void;
  readonly #subscriptions = new Map<string, Set<Client>>();
  readonly #gone = Promise.withResolvers<void>();

  constructor(parts: {
    upstream: Upstream;
    initialize: InitializeResult;
    wire: Wire;
    clock: Clock;
    server: FrontServer;
    /** Milliseconds since the epoch; now, if it was just started. */
    startedAt?: number | undefined;
    /** It takes no new calls any more. */
    onRetired: () => void;
  }) {
    const { upstream, initialize, wire, clock, server, startedAt, onRetired } = parts;
    this.upstream = upstream;
    this.initialize = initialize;
    this.#wire = wire;
    this.#clock = clock;
    this.#idleMs = server.idleTimeoutMs;
    this.#onRetired = onRetired;
    const livedMs = startedAt === undefined ? 0 : Math.max(0, clock.now() - startedAt);
    const leftMs = Math.max(0, server.maxLifetimeMs - livedMs);
    if (server.maxLifetimeMs > 0) this.#lifeTimer = clock.after(leftMs, () => this.retire("timeout"));
    this.busyChanged(upstream.callsInFlight > 0);
  }

  /** New calls may go to it. */
  get usable(): boolean {
    return !this.#retired && !this.upstream.closed;
  }

  /** Resolves when it takes no calls any more and has none. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** Nobody here decided that it should end. */
  get isWanted(): boolean {
    return !this.#retired;
  }

  busyChanged(busy: boolean): void {
    this.#idleTimer?.clear();
    this.#idleTimer = undefined;
    if (busy || this.upstream.closed) return;
    if (this.#retired) return this.#end("timeout");
    // A pooled server that may still work for somebody who left could ask the wrong one: it makes way for a clean one.
    if (this.upstream.isTainted && this.upstream.asksClients) return this.retire("cancelled");
    if (this.#idleMs === 0 || this.#subscriptions.size > 0) return;
    this.#idleTimer = this.#clock.after(this.#idleMs, () => this.retire("lease-expired"));
  }

  /** This session wants to hear of changes of the resource. */
  subscribe(uri: string, client: Client): void {
    this.#idleTimer?.clear();
    const clients = this.#subscriptions.get(uri) ?? new Set();
    this.#subscriptions.set(uri, clients.add(client));
  }

  /** True: nobody else wants to hear of it, the server may be told. */
  unsubscribe(uri: string, client: Client): boolean {
    const clients = this.#subscriptions.get(uri);
    clients?.delete(client);
    if ((clients?.size ?? 0) > 0) return false;
    this.#subscriptions.delete(uri);
    if (this.upstream.callsInFlight === 0) this.busyChanged(false);
    return true;
  }

  join(client: Client): void {
    this.upstream.join(client);
  }

  /** A session has no use for it any more. */
  leave(client: Client): void {
    this.upstream.leave(client);
    for (const uri of this.#subscriptions.keys()) {
      if (this.#subscriptions.get(uri)?.has(client) !== true || !this.unsubscribe(uri, client)) continue;
      // Nobody waits for the answer: at worst the server goes on telling what nobody is told.
      this.upstream.ask("resources/unsubscribe", { uri }, unsubscribeMs).catch(() => {});
    }
  }

  /** Takes no new calls; ends now if it is idle, else with its last call. */
  retire(reason: EndReason): void {
    this.#retired = true;
    this.#onRetired();
    if (this.upstream.callsInFlight === 0) this.#end(reason);
  }

  /** Ends now, whoever has a call on it: they are told why. */
  stop(reason: EndReason, why: string): void {
    this.#retired = true;
    this.#onRetired();
    this.upstream.onClosed(why);
    this.#end(reason);
  }

  /** Its process is gone. */
  ended(): void {
    this.#gone.resolve();
    this.#lifeTimer?.clear();
    this.#idleTimer?.clear();
  }

  #end(reason: EndReason): void {
    this.ended();
    // What cannot be ended stays with the scope that owns the wire, which reports it.
    void Promise.resolve(this.#wire.close(reason)).catch(() => {});
  }
}
