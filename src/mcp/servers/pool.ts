/**
 * Servers shared by sessions. The key of an entry holds everything that could make a difference: the server's
 * fingerprint (command, arguments, directory, environment with its credentials), its introduction (protocol revision,
 * client capabilities) and the client's roots. An entry lives as long as it is held.
 */
import { hash } from "node:crypto";
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { EndReason, RunView } from "../../protocol/run.ts";
import { HoldfastError } from "../../errors.ts";
import type { HeldRun } from "../../protocol/keeper/messages.ts";
import type { Scope, ScopeClosed } from "../../ownership/scope.ts";
import { version } from "../../version.ts";
import type { Introduction } from "./handshake.ts";
import type { Client } from "./client.ts";
import type { RunHandoff } from "./run-handoff.ts";
import type { StartOrder } from "./order.ts";
import type { RunningServer } from "./running-server.ts";
import type { Starter } from "./starter.ts";

/** The keeper's session id for a pooled run: this prefix and the key. */
const keyPrefix = "pool-";

export interface PoolRequest {
  server: FrontServer;
  introduction: Introduction;
  metadataKey: string;
  /** The client's roots; undefined when it has none. Clients with different roots never share. */
  roots: unknown;
}

interface Entry {
  key: string;
  scope: Scope;
  request: PoolRequest;
  holders: Set<Client>;
  starting: Promise<RunningServer> | undefined;
  running: RunningServer | undefined;
}

/** One session's hold on an entry. */
export interface PoolHold {
  readonly key: string;
  /** The server, if it runs and takes calls. */
  running(): RunningServer | undefined;
  /** The server, started if needed. */
  need(): Promise<RunningServer>;
  /** Resolves when the current server has completed its calls and takes no more. */
  gone(): Promise<void>;
  /** Resolves when the server is gone, if this was the last hold, else at once. */
  release(reason: EndReason): Promise<ScopeClosed | void>;
}

export function isPooledRun({ sessionId }: RunView): boolean {
  return sessionId?.startsWith(keyPrefix) === true;
}

export function poolKey({ server, introduction, roots }: PoolRequest): string {
  const { protocolVersion, capabilities } = introduction;
  const parts = [server.name, server.fingerprint, protocolVersion, canonical(capabilities), canonical(roots ?? null)];
  return hash("sha256", JSON.stringify(parts), "hex").slice(0, 32);
}

/** The same text for values that differ only in the order of their keys. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

/** The introduction to a shared server, without tasks: the sender of a later answer would be ambiguous. */
export function pooledIntroduction(introduction: Introduction): Introduction {
  const { tasks: _, ...capabilities } = introduction.capabilities;
  return { ...introduction, capabilities, clientInfo: { name: "holdfast", version } };
}

export class Pool {
  readonly #starter: Starter;
  readonly #scope: Scope;
  readonly #onListChanged: (running: RunningServer, metadataKey: string) => Promise<void>;
  readonly #entries = new Map<string, Entry>();

  constructor(
    starter: Starter,
    scope: Scope,
    onListChanged: (running: RunningServer, metadataKey: string) => Promise<void>,
  ) {
    this.#starter = starter;
    this.#scope = scope.child("pool", { independent: true });
    this.#onListChanged = onListChanged;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The sessions that hold a server of this name, and its runs. */
  view(server: string): { holders: number; runs: string[] } {
    const ours = [...this.#entries.values()].filter(({ scope }) => scope.name === `pool ${server}`);
    return {
      holders: ours.reduce((sum, { holders }) => sum + holders.size, 0),
      runs: ours.flatMap(({ running }) => (running?.usable === true ? [running.upstream.runId ?? ""] : [])),
    };
  }

  hold(request: PoolRequest, client: Client): PoolHold {
    const key = poolKey(request);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const scope = this.#scope.child(`pool ${request.server.name}`);
      entry = { key, scope, request, holders: new Set(), starting: undefined, running: undefined };
      this.#entries.set(key, entry);
    }
    entry.holders.add(client);
    if (entry.running?.usable === true) entry.running.join(client);
    const held = entry;
    let released: Promise<ScopeClosed | void> | undefined;
    return {
      key,
      running: () => (held.running?.usable === true ? held.running : undefined),
      need: () => this.#need(held),
      gone: () => held.running?.gone ?? Promise.resolve(),
      release: (reason) => (released ??= this.#release(held, client, reason)),
    };
  }

  /**
   * The config changed this server: later sessions get a new entry. With `why`, calls in flight end with it; otherwise
   * they complete on the old process.
   */
  replace(server: string, why: string | undefined): void {
    for (const [key, entry] of this.#entries) {
      if (entry.request.server.name !== server) continue;
      this.#entries.delete(key);
      const { running, starting } = entry;
      if (why === undefined && running?.usable === true && starting === undefined) {
        running.retire("config-changed"); // its holders release it when it is gone
        continue;
      }
      if (why !== undefined) running?.stop("config-changed", why);
      void entry.scope.close("config-changed"); // cancels a start; the holders log what cannot be ended
    }
  }

  /** Takes over a server of the previous front for its restored holds. Rejects with the reason of a failure. */
  async resume(held: HeldRun, blob: RunHandoff): Promise<void> {
    const entry = this.#entries.get(held.run.sessionId?.slice(keyPrefix.length) ?? "");
    if (entry === undefined) throw new HoldfastError("session_unknown", "no session holds it");
    if (entry.running?.usable === true || entry.starting !== undefined)
      throw new HoldfastError("run_unknown", "another server stands in its place");
    entry.starting = this.#starter.resume(this.#order(entry), held, blob).finally(() => {
      entry.starting = undefined;
    });
    this.#put(entry, await entry.starting);
  }

  #need(entry: Entry): Promise<RunningServer> {
    if (entry.running?.usable === true) return Promise.resolve(entry.running);
    entry.starting ??= this.#start(entry).finally(() => {
      entry.starting = undefined;
    });
    return entry.starting;
  }

  async #start(entry: Entry): Promise<RunningServer> {
    const running = await this.#starter.start(this.#order(entry));
    this.#put(entry, running);
    return running;
  }

  #order({ key, scope, request: { server, introduction, metadataKey } }: Entry): StartOrder {
    return {
      server,
      introduction,
      metadataKey,
      shared: true,
      passesAll: false,
      scope,
      sessionId: keyPrefix + key,
      onRun: () => {},
      onListChanged: (changed) => this.#onListChanged(changed, metadataKey),
    };
  }

  #put(entry: Entry, running: RunningServer): void {
    entry.running = running;
    for (const client of entry.holders) running.join(client);
  }

  async #release(entry: Entry, client: Client, reason: EndReason): Promise<ScopeClosed | void> {
    entry.running?.leave(client);
    entry.holders.delete(client);
    if (entry.holders.size > 0) return;
    // Removed first, so that later callers get a new entry instead of an ending one.
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    return entry.scope.close(reason);
  }
}
