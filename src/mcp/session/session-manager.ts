/** Creates aggregate sessions and owns their shared parts: start gate, pool, catalog, breakers. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { Probed, ServerStatus } from "../../protocol/api/mcp.ts";
import type { Clock } from "../../clock.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import { HoldfastError } from "../../errors.ts";
import type { HeldRun } from "../../protocol/keeper/messages.ts";
import type { Log } from "../../log.ts";
import type { Scope } from "../../ownership/scope.ts";
import type { Session } from "../../sessions/session.ts";
import type { SessionSet } from "../../sessions/set.ts";
import { statelessVersion } from "../wire/headers.ts";
import { rpcCode, type RpcFault } from "../wire/json-rpc.ts";
import { Numbers } from "../wire/numbers.ts";
import { Catalog } from "../servers/catalog.ts";
import { isPooledRun, Pool } from "../servers/pool.ts";
import type { RunningServer } from "../servers/running-server.ts";
import { StartGate } from "../servers/start-gate.ts";
import { Starter } from "../servers/starter.ts";
import { StreamHeartbeat } from "../wire/stream-heartbeat.ts";
import type { RunHandoff } from "../servers/run-handoff.ts";
import { Bearers } from "../servers/bearers.ts";
import { eventFraming } from "../wire/splice.ts";
import { learnLists, type Introduction } from "../servers/handshake.ts";
import type { NodeServers } from "../servers/node-wire.ts";
import { StatelessClient } from "../stateless/stateless-client.ts";
import type { OwnTools } from "../tools/own-tools.ts";
import { AggregateSession } from "./aggregate-session.ts";
import { SessionClient, type Framing } from "./session-client.ts";
import { MergedViews } from "./merge.ts";
import { readHandoff } from "./session-handoff.ts";
import { OfferedServers, type Selection } from "../servers/offered-servers.ts";
import { notOffered } from "./bindings.ts";
import { probeServer, statusOf } from "../servers/probe.ts";

export interface SessionManagerParts {
  link: KeeperLink;
  nodes: NodeServers;
  sessions: SessionSet;
  /** Owns the pooled servers. */
  scope: Scope;
  gate: StartGate;
  /** Holdfast's own tools, offered beside those of the servers. */
  tools: OwnTools;
  clock: Clock;
  log: Log;
}

/** The kind of a session's client; by default one client that listens on event streams. */
export interface Kind {
  framing?: Framing;
  isAnonymous?: boolean | undefined;
  /** It starts its one server itself; everything passes unchanged. */
  isPassThrough?: boolean;
}

/** A pass-through client introduced itself to its server. */
const unknownClient: Introduction = { protocolVersion: "", capabilities: {}, clientInfo: {} };

export class SessionManager {
  readonly starter: Starter;
  readonly pool: Pool;
  readonly catalog: Catalog;
  readonly #views = new MergedViews();
  readonly numbers: Numbers;
  readonly #parts: SessionManagerParts;
  readonly #heartbeat: StreamHeartbeat;
  readonly #bearers: Bearers;
  readonly servers: OfferedServers;
  readonly #open = new Map<string, AggregateSession>();
  readonly #scopes = new Map<string, AggregateSession>();

  constructor(parts: SessionManagerParts) {
    const { link, nodes, clock, log, gate, scope } = parts;
    const { frontEpoch, frontDir, config } = link.hello;
    const { messageBytesMax } = config;
    this.#parts = parts;
    this.servers = new OfferedServers(link);
    this.numbers = new Numbers(frontEpoch);
    this.catalog = new Catalog(frontDir, log);
    this.#bearers = new Bearers(frontDir, clock);
    this.#heartbeat = new StreamHeartbeat(clock);
    this.starter = new Starter({
      link,
      nodes,
      clock,
      log,
      numbers: this.numbers,
      gate,
      catalog: this.catalog,
      messageBytesMax,
      bearers: this.#bearers,
    });
    this.pool = new Pool(this.starter, scope, (running, key) => this.#relearn(running, key));
  }

  /** Whether a new session is pass-through: its one server is a process of its own, for the session's whole life. */
  passesAll({ servers: [server], isPrefixed }: Selection): boolean {
    if (isPrefixed || server === undefined || this.starter.revisions.isStateless(server)) return false;
    const isFar = server.kind !== "stdio" || server.node !== undefined;
    return !isFar && server.share !== "pool" && server.idleTimeoutMs === 0 && server.maxLifetimeMs === 0;
  }

  get(sessionId: string): AggregateSession | undefined {
    return this.#open.get(sessionId);
  }

  /**
   * Applies a reloaded config; servers outside `changed` are the same as before. On `/mcp` sessions continue with the
   * new servers; a session on a single changed or removed server ends. Resolves when the removed servers are gone.
   */
  async reload(servers: FrontServer[], changed: ReadonlySet<string>): Promise<void> {
    for (const server of this.servers.replace(servers, changed)) {
      this.starter.forget(server);
      this.pool.replace(
        server.name,
        this.servers.select(server.name) === undefined ? notOffered(server.name) : undefined,
      );
    }
    const all = this.servers.select(undefined)?.servers ?? [];
    const ended = [...this.#open.values()].map(async (aggregate) => {
      const { session, isPrefixed, bindings } = aggregate;
      if (isPrefixed) return aggregate.reload(all);
      const [only] = bindings;
      if (only === undefined || this.servers.has(only.server)) return;
      aggregate.failAll({ code: rpcCode.unavailable, message: this.servers.whyEnded(only.name), reason: "run_ended" });
      await session.close("config-changed"); // the session set logs what cannot be ended
    });
    await Promise.all(ended);
  }

  /** Makes an aggregate session of a newly opened session. */
  create(session: Session, selection: Selection, introduction: Introduction, kind: Kind = {}): AggregateSession {
    const { clock, log, tools } = this.#parts;
    const { starter, pool, catalog, numbers } = this;
    const [views, heartbeat] = [this.#views, this.#heartbeat];
    const { framing = eventFraming, isAnonymous = false, isPassThrough = false } = kind;
    const isStateless = introduction.protocolVersion === statelessVersion;
    const client = isStateless ? new StatelessClient(clock) : new SessionClient(clock, framing);
    const lacking = () => this.servers.lacking;
    const { listMs } = this.#parts.link.hello.config;
    const shared = { lacking, starter, pool, catalog, views, numbers, clock, log, tools, heartbeat, listMs };
    const aggregate = new AggregateSession({
      ...selection,
      session,
      introduction,
      client,
      isAnonymous,
      isPassThrough,
      ...shared,
    });
    this.#open.set(session.id, aggregate);
    session.onEnd(() => this.#open.delete(session.id));
    return aggregate;
  }

  /** Discards the `resolveNpx` installation of one server or of all; the next start installs it again. */
  refresh(server: string | null): Promise<Record<string, string[]>> {
    return this.#parts.link.ask("run.refresh", { server });
  }

  /** The session of a stateless client with a scope. */
  scoped(key: string): AggregateSession | undefined {
    return this.#scopes.get(key);
  }

  nameScope(key: string, aggregate: AggregateSession): void {
    this.#scopes.set(key, aggregate);
    aggregate.session.onEnd(() => this.#scopes.delete(key));
  }

  async status(): Promise<ServerStatus[]> {
    await this.servers.recheck();
    const launches = await this.#parts.link.ask("run.launches", {});
    const { starter, pool } = this;
    return this.servers.all.map((server) =>
      statusOf(server, {
        starter,
        pool,
        launch: Object.hasOwn(launches, server.name) ? launches[server.name] : undefined,
        login: this.#bearers.of(server)?.problem,
      }),
    );
  }

  /** Servers whose lists did not come in time, until they do. */
  get silentServers(): { name: string; silentSince: number }[] {
    return this.servers.all.flatMap((server) => {
      const { silentSince } = this.starter.breaker(server);
      return silentSince === null ? [] : [{ name: server.name, silentSince }];
    });
  }

  async probe(name: string): Promise<Probed> {
    await this.servers.recheck(name);
    const [server] = this.servers.select(name)?.servers ?? [];
    if (server === undefined) throw this.servers.whyNot(name);
    return probeServer(server, this.#parts.sessions, this.starter, this.#parts.clock);
  }

  // ── restored from the previous front ──

  /** Restores an aggregate session, without its servers. False: its state is missing or unusable. */
  restore(session: Session): boolean {
    const state = readHandoff(session.memo);
    const selection = this.servers.select(session.server ?? undefined);
    // A stdio client's session was tied to its connection to the previous front.
    if (state === undefined || selection === undefined || session.kind !== "mcp") return false;
    const { introduction = unknownClient, isAnonymous, isPassThrough } = state;
    const aggregate = this.create(session, selection, introduction, { isAnonymous, isPassThrough });
    if (state.scopeKey !== undefined) this.nameScope(state.scopeKey, aggregate);
    aggregate.restore(state);
    return true;
  }

  /** Returns a run to its session or pool. Rejects with the reason of a failure. */
  async adopt(held: HeldRun, blob: RunHandoff): Promise<void> {
    const { run } = held;
    if (isPooledRun(run)) return this.pool.resume(held, blob);
    const aggregate = this.#open.get(run.sessionId ?? "");
    if (aggregate === undefined) throw new HoldfastError("session_unknown", "its session is no longer known");
    const binding = aggregate.bindings.find(({ name }) => name === run.server);
    if (binding === undefined) throw new HoldfastError("server_unknown", "its server is not offered");
    return binding.resume(held, blob);
  }

  /** All runs have been returned. Returns the sessions that cannot continue without their lost run. */
  resumed(): Session[] {
    const all = [...this.#open.values()];
    const lost = all.filter(({ isPassThrough, bindings }) => isPassThrough && bindings[0]?.ready() === undefined);
    for (const aggregate of all) aggregate.resumed();
    return lost.map(({ session }) => session);
  }

  /** `isLast`: the sessions end too, each with its last call. */
  closeStreams(isLast: boolean): void {
    for (const aggregate of this.#open.values()) {
      if (isLast) aggregate.drain();
      else aggregate.client.hangUp();
    }
  }

  /** The gateway stops at once: every call in flight is answered with an error. */
  failAll(message: string): void {
    const fault: RpcFault = { code: rpcCode.unavailable, message, reason: "gateway_busy" };
    for (const aggregate of this.#open.values()) aggregate.failAll(fault);
  }

  async #relearn(running: RunningServer, metadataKey: string): Promise<void> {
    const { upstream, initialize } = running;
    try {
      const lists = await learnLists(upstream, initialize.capabilities, this.#parts.clock);
      this.catalog.put(metadataKey, { initialize, lists, learnedAt: this.#parts.clock.now() });
    } catch {
      // The server ended or refused; its next start learns its lists.
    }
  }
}
