/** Makes assembled sessions and keeps what they share: the start gate, the pool, the catalog, the breakers. */
import type { Probed, ServerStatus } from "../../protocol/api/mcp.ts";
import type { Clock } from "../../clock.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import { HoldfastError } from "../../errors.ts";
import type { FrontServer, HeldRun } from "../../protocol/keeper/messages.ts";
import type { Log } from "../../log.ts";
import type { Scope } from "../../ownership/scope.ts";
import type { Session } from "../../sessions/session.ts";
import type { SessionSet } from "../../sessions/set.ts";
import { statelessVersion } from "../headers.ts";
import { rpcCode, type RpcFault } from "../json-rpc.ts";
import { Numbers } from "../numbers.ts";
import { Catalog } from "../pool/catalog.ts";
import { isPooledRun, Pool } from "../pool/pool.ts";
import type { RunningServer } from "../pool/running-server.ts";
import { StartGate } from "../pool/start-gate.ts";
import { Starter } from "../pool/starter.ts";
import { Pulse } from "../pulse.ts";
import type { RunBlob } from "../run-blob.ts";
import { Bearers } from "../upstream/bearers.ts";
import { eventFraming } from "../splice.ts";
import { learnLists, type Introduction } from "../upstream/handshake.ts";
import type { NodeServers } from "../upstream/node-wire.ts";
import { StatelessSide } from "../stateless/side.ts";
import type { OwnTools } from "../tools/own-tools.ts";
import { Assembly } from "./assembly.ts";
import { ClientSide, type Framing } from "./client-side.ts";
import { readMemo } from "./memory.ts";
import { OfferedServers, type Selection } from "./offered-servers.ts";
import { notOffered } from "./seats.ts";
import { probeServer, statusOf } from "./probe.ts";

export interface HubParts {
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

/** What kind of client a session has; by default one that listens on streams of events and is always the same. */
export interface Kind {
  framing?: Framing;
  isCrowd?: boolean | undefined;
  /** It brings its one server up itself; everything passes as it is. */
  isPassThrough?: boolean;
}

/** The client of a session that passes everything introduced itself to its server. */
const unknownClient: Introduction = { protocolVersion: "", capabilities: {}, clientInfo: {} };

export class Hub {
  readonly starter: Starter;
  readonly pool: Pool;
  readonly catalog: Catalog;
  readonly numbers: Numbers;
  readonly #parts: HubParts;
  readonly #pulse: Pulse;
  readonly #bearers: Bearers;
  readonly servers: OfferedServers;
  readonly #open = new Map<string, Assembly>();
  readonly #scopes = new Map<string, Assembly>();

  constructor(parts: HubParts) {
    const { link, nodes, clock, log, gate, scope } = parts;
    const { frontEpoch, frontDir, config } = link.hello;
    const { messageBytesMax } = config;
    this.#parts = parts;
    this.servers = new OfferedServers(link);
    this.numbers = new Numbers(frontEpoch);
    this.catalog = new Catalog(frontDir, log);
    this.#bearers = new Bearers(frontDir, clock);
    this.#pulse = new Pulse(clock);
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

  /** Whether a session that begins now lets everything pass: its one server is a process of its own, which stays as long as it. */
  passesAll({ servers: [server], isPrefixed }: Selection): boolean {
    if (isPrefixed || server === undefined || this.starter.revisions.isStateless(server)) return false;
    const isFar = server.kind !== "stdio" || server.node !== undefined;
    return !isFar && server.share !== "pool" && server.idleTimeoutMs === 0 && server.maxLifetimeMs === 0;
  }

  get(sessionId: string): Assembly | undefined {
    return this.#open.get(sessionId);
  }

  /**
   * The config was read anew; a server that is not named in `changed` is the one that it was. On `/mcp` sessions go on with
   * the new servers; one on a single server that changed or is gone ends. Resolves when what is not offered any more is gone.
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
    const ended = [...this.#open.values()].map(async (assembly) => {
      const { session, isPrefixed, seats } = assembly;
      if (isPrefixed) return assembly.reload(all);
      const [only] = seats;
      if (only === undefined || this.servers.has(only.server)) return;
      assembly.failAll({ code: rpcCode.unavailable, message: this.servers.whyEnded(only.name), reason: "run_ended" });
      await session.close("config-changed"); // what cannot be ended is logged by the session set
    });
    await Promise.all(ended);
  }

  /** Puts an assembly on a session that was just opened. */
  assemble(session: Session, selection: Selection, introduction: Introduction, kind: Kind = {}): Assembly {
    const { clock, log, tools } = this.#parts;
    const { starter, pool, catalog, numbers } = this;
    const { framing = eventFraming, isCrowd = false, isPassThrough = false } = kind;
    const isStateless = introduction.protocolVersion === statelessVersion;
    const client = isStateless ? new StatelessSide(clock) : new ClientSide(clock, framing);
    const lacking = () => this.servers.lacking;
    const { listMs } = this.#parts.link.hello.config;
    const shared = { lacking, starter, pool, catalog, numbers, clock, log, tools, pulse: this.#pulse, listMs };
    const assembly = new Assembly({ ...selection, session, introduction, client, isCrowd, isPassThrough, ...shared });
    this.#open.set(session.id, assembly);
    session.onEnd(() => this.#open.delete(session.id));
    return assembly;
  }

  /** What `resolveNpx` has installed for a server, or for all, is installed anew by the next start. */
  refresh(server: string | null): Promise<Record<string, string[]>> {
    return this.#parts.link.ask("run.refresh", { server });
  }

  /** The assembly of a client that names a scope where others have a session. */
  scoped(key: string): Assembly | undefined {
    return this.#scopes.get(key);
  }

  nameScope(key: string, assembly: Assembly): void {
    this.#scopes.set(key, assembly);
    assembly.session.onEnd(() => this.#scopes.delete(key));
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

  async probe(name: string): Promise<Probed> {
    await this.servers.recheck(name);
    const [server] = this.servers.select(name)?.servers ?? [];
    if (server === undefined) throw this.servers.whyNot(name);
    return probeServer(server, this.#parts.sessions, this.starter, this.#parts.clock);
  }

  // ── after a front before this one ──

  /** Puts an assembly back on its session, without its servers. False: the front before left none, or it cannot be. */
  restore(session: Session): boolean {
    const memo = readMemo(session.memo);
    const selection = this.servers.select(session.server ?? undefined);
    // A client over stdio had its session through a connection to the front that is gone.
    if (memo === undefined || selection === undefined || session.kind !== "mcp") return false;
    const { introduction = unknownClient, isCrowd, isPassThrough } = memo;
    const assembly = this.assemble(session, selection, introduction, { isCrowd, isPassThrough });
    if (memo.scopeKey !== undefined) this.nameScope(memo.scopeKey, assembly);
    assembly.restore(memo);
    return true;
  }

  /** Gives a run to the session or the pool that had it. Rejects with why that cannot be done. */
  async adopt(held: HeldRun, blob: RunBlob): Promise<void> {
    const { run } = held;
    if (isPooledRun(run)) return this.pool.resume(held, blob);
    const assembly = this.#open.get(run.sessionId ?? "");
    if (assembly === undefined) throw new HoldfastError("session_unknown", "its session is no longer known");
    const seat = assembly.seats.find(({ name }) => name === run.server);
    if (seat === undefined) throw new HoldfastError("server_unknown", "its server is not offered");
    return seat.resume(held, blob);
  }

  /** All runs have been given back. Returns the sessions that cannot go on without the one that they had. */
  resumed(): Session[] {
    const all = [...this.#open.values()];
    const lost = all.filter(({ isPassThrough, seats }) => isPassThrough && seats[0]?.ready() === undefined);
    for (const assembly of all) assembly.resumed();
    return lost.map(({ session }) => session);
  }

  /** `isLast`: the sessions end too, each with its last call. */
  closeStreams(isLast: boolean): void {
    for (const assembly of this.#open.values()) {
      if (isLast) assembly.drain();
      else assembly.client.hangUp();
    }
  }

  /** The gateway stops and cannot wait: every call in flight is answered with an error. */
  failAll(message: string): void {
    const fault: RpcFault = { code: rpcCode.unavailable, message, reason: "gateway_busy" };
    for (const assembly of this.#open.values()) assembly.failAll(fault);
  }

  async #relearn(running: RunningServer, factsKey: string): Promise<void> {
    const { upstream, initialize } = running;
    try {
      const lists = await learnLists(upstream, initialize.capabilities, this.#parts.clock);
      this.catalog.put(factsKey, { initialize, lists, learnedAt: this.#parts.clock.now() });
    } catch {
      // The server ended meanwhile, or does not tell them: its next start learns its lists.
    }
  }
}
