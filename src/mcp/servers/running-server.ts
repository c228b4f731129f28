/**
 * One started MCP server and its lifetime: it ends after `idleTimeoutMs` without a call, and takes no new calls after
 * `maxLifetimeMs`. A server with a call in flight or a subscription is busy.
 */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { EndReason } from "../../protocol/run.ts";
import type { Clock, Timer } from "../../clock.ts";
import type { InitializeResult } from "./handshake.ts";
import type { Client } from "./client.ts";
import type { Upstream } from "./upstream.ts";
import type { Wire } from "./wire.ts";

/** Time for a server to confirm an unsubscribe. */
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
    /** Milliseconds since the epoch; by default now. */
    startedAt?: number | undefined;
    /** It takes no new calls from now on. */
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

  /** It takes new calls. */
  get usable(): boolean {
    return !this.#retired && !this.upstream.closed;
  }

  /** Resolves when it takes no new calls and the last one is done. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  get isWanted(): boolean {
    return !this.#retired;
  }

  busyChanged(busy: boolean): void {
    this.#idleTimer?.clear();
    this.#idleTimer = undefined;
    if (busy || this.upstream.closed) return;
    if (this.#retired) return this.#end("timeout");
    // On a pooled server an abandoned call could ask the wrong client, so a fresh server replaces it.
    if (this.upstream.hasAbandonedCalls && this.upstream.asksClients) return this.retire("cancelled");
    if (this.#idleMs === 0 || this.#subscriptions.size > 0) return;
    this.#idleTimer = this.#clock.after(this.#idleMs, () => this.retire("lease-expired"));
  }

  /** This session subscribes to the resource. */
  subscribe(uri: string, client: Client): void {
    this.#idleTimer?.clear();
    const clients = this.#subscriptions.get(uri) ?? new Set();
    this.#subscriptions.set(uri, clients.add(client));
  }

  /** True: no subscriber is left, so the server may be told. */
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

  /** The session releases it. */
  leave(client: Client): void {
    this.upstream.leave(client);
    for (const uri of this.#subscriptions.keys()) {
      if (this.#subscriptions.get(uri)?.has(client) !== true || !this.unsubscribe(uri, client)) continue;
      // Best effort: at worst the server keeps sending updates without a recipient.
      this.upstream.ask("resources/unsubscribe", { uri }, unsubscribeMs).catch(() => {});
    }
  }

  /** Refuses new calls; ends now if idle, else with its last call. */
  retire(reason: EndReason): void {
    this.#retired = true;
    this.#onRetired();
    if (this.upstream.callsInFlight === 0) this.#end(reason);
  }

  /** Ends now; open calls fail with `why`. */
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
    // The scope that owns the wire reports what cannot be ended.
    void Promise.resolve(this.#wire.close(reason)).catch(() => {});
  }
}
