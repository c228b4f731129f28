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

/** Which servers a path stands for. */
export interface Selection {
  servers: FrontServer[];
  isPrefixed: boolean;
  /** As the session shows it: null where they are several. */
  label: string | null;
}

/** What kind of client a session has; by default one that listens on streams of events and is always the same. */
export interface Kind {
  framing?: Framing;
  isCrowd?: boolean | undefined;
}

const isOffered = ({ enabled, problem }: FrontServer) => enabled && problem === undefined;

export class Hub {
  readonly starter: Starter;
  readonly pool: Pool;
  readonly catalog: Catalog;
  readonly numbers: Numbers;
  readonly #parts: HubParts;
  readonly #pulse: Pulse;
  readonly #bearers: Bearers;
  readonly #servers = new Map<string, FrontServer>();
  readonly #open = new Map<string, Assembly>();
  #rechecking: Promise<null> | undefined;
  readonly #scopes = new Map<string, Assembly>();

  constructor(parts: HubParts) {
    const { link, nodes, clock, log, gate, scope } = parts;
    const { frontEpoch, frontDir, config } = link.hello;
    const { messageBytesMax } = config;
    this.#parts = parts;
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
    for (const server of config.servers) this.#servers.set(server.name, server);
  }

  /** Whether sessions on this server alone are assembled, too, and not simply joined to one process. */
  manages(server: FrontServer): boolean {
    if (this.starter.isStateless(server)) return true;
    const isFar = server.kind !== "stdio" || server.node !== undefined;
    return isFar || server.share === "pool" || server.idleTimeoutMs > 0 || server.maxLifetimeMs > 0;
  }

  /** By the name it is served under, or the one that the config has for it. */
  server(name: string): FrontServer | undefined {
    return this.#servers.get(name) ?? [...this.#servers.values()].find(({ writtenName }) => writtenName === name);
  }

  /** All servers that can be had, or one. Undefined: there is no such server, or it cannot be had. */
  select(name: string | undefined): Selection | undefined {
    const offered = [...this.#servers.values()].filter(isOffered);
    if (name === undefined) return { servers: offered, isPrefixed: true, label: null };
    const server = this.server(name);
    return server !== undefined && isOffered(server)
      ? { servers: [server], isPrefixed: false, label: server.name }
      : undefined;
  }

  /** Why no server of that name can be had, and which can. */
  whyNot(name: string): HoldfastError {
    const server = this.server(name);
    const what = `MCP server ${JSON.stringify(name)}`;
    if (server?.enabled === true && server.problem !== undefined)
      return new HoldfastError("server_down", `${what} is unavailable: ${server.problem}`);
    const known = [...this.#servers.values()].filter(isOffered).map((one) => one.name);
    const why = server === undefined ? "is not in the config" : "is disabled (`enabled: false`)";
    return new HoldfastError("server_unknown", `${what} ${why}; available servers: ${known.join(", ") || "none"}`);
  }

  /** Has a server that could not be had looked at again, or (undefined) all such; what can be had now is offered. */
  async recheck(name?: string): Promise<void> {
    const server = name === undefined ? null : this.server(name);
    const isLacking = server === null ? this.#lacking.length > 0 : server?.problem !== undefined;
    if (!isLacking) return;
    this.#rechecking ??= this.#parts.link.ask("config.recheck", {}).finally(() => (this.#rechecking = undefined));
    await this.#rechecking;
  }

  /** Servers that cannot be had as things are, looked at again. */
  async unavailable(): Promise<{ name: string; problem: string }[]> {
    await this.recheck();
    return this.#lacking;
  }

  get #lacking(): { name: string; problem: string }[] {
    return [...this.#servers.values()].flatMap(({ name, problem }) =>
      problem === undefined ? [] : [{ name, problem }],
    );
  }

  get(sessionId: string): Assembly | undefined {
    return this.#open.get(sessionId);
  }

  /**
   * The config was read anew; a server that is not named in `changed` is the one that it was. On `/mcp` sessions go on with
   * the new servers; one on a single server that changed or is gone ends. Resolves when what is not offered any more is gone.
   */
  async reload(servers: FrontServer[], changed: ReadonlySet<string>): Promise<void> {
    const before = new Map(this.#servers);
    this.#servers.clear();
    for (const server of servers) {
      const known = changed.has(server.name) ? undefined : before.get(server.name);
      this.#servers.set(server.name, known ?? server);
    }
    for (const [name, server] of before) {
      if (this.#servers.get(name) === server) continue;
      this.starter.forget(server);
      this.pool.replace(name, this.select(name) === undefined ? notOffered(name) : undefined);
    }
    const all = this.select(undefined)?.servers ?? [];
    const ended = [...this.#open.values()].map(async (assembly) => {
      const { session, isPrefixed, seats } = assembly;
      if (isPrefixed) return assembly.reload(all);
      const [only] = seats;
      if (only === undefined || this.#servers.get(only.name) === only.server) return;
      assembly.failAll({ code: rpcCode.unavailable, message: this.whyEnded(only.name), reason: "run_ended" });
      await session.close("config-changed"); // what cannot be ended is logged by the session set
    });
    await Promise.all(ended);
  }

  /** Why a session on this server alone does not go on after a reload. */
  whyEnded(name: string): string {
    const isThere = this.select(name) !== undefined;
    return isThere
      ? `MCP server ${JSON.stringify(name)} is another in the config now; begin a new session`
      : notOffered(name);
  }

  /** Puts an assembly on a session that was just opened. */
  assemble(session: Session, selection: Selection, introduction: Introduction, kind: Kind = {}): Assembly {
    const { clock, log, tools } = this.#parts;
    const { starter, pool, catalog, numbers } = this;
    const { framing = eventFraming, isCrowd = false } = kind;
    const isStateless = introduction.protocolVersion === statelessVersion;
    const client = isStateless ? new StatelessSide(clock) : new ClientSide(clock, framing);
    const lacking = () => this.#lacking;
    const { listMs } = this.#parts.link.hello.config;
    const shared = { lacking, starter, pool, catalog, numbers, clock, log, tools, pulse: this.#pulse, listMs };
    const assembly = new Assembly({ ...selection, session, introduction, client, isCrowd, ...shared });
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
    await this.recheck();
    const launches = await this.#parts.link.ask("run.launches", {});
    const { starter, pool } = this;
    return [...this.#servers.values()].map((server) =>
      statusOf(server, {
        starter,
        pool,
        launch: Object.hasOwn(launches, server.name) ? launches[server.name] : undefined,
        login: this.#bearers.of(server)?.problem,
      }),
    );
  }

  async probe(name: string): Promise<Probed> {
    await this.recheck(name);
    const [server] = this.select(name)?.servers ?? [];
    if (server === undefined) throw this.whyNot(name);
    return probeServer(server, this.#parts.sessions, this.starter, this.#parts.clock);
  }

  // ── after a front before this one ──

  /** Puts an assembly back on its session, without its servers. False: the front before left none, or it cannot be. */
  restore(session: Session): boolean {
    const memo = readMemo(session.memo);
    const selection = this.select(session.server ?? undefined);
    // A client over stdio had its session through a connection to the front that is gone.
    if (memo === undefined || selection === undefined || session.kind !== "mcp") return false;
    const assembly = this.assemble(session, selection, memo.introduction, { isCrowd: memo.isCrowd });
    if (memo.scopeKey !== undefined) this.nameScope(memo.scopeKey, assembly);
    assembly.memory.restore(memo);
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

  /** All runs have been given back. */
  resumed(): void {
    for (const { memory } of this.#open.values()) memory.resumed();
  }

  /** `isLast`: the sessions end too, each with its last call. */
  closeStreams(isLast: boolean): void {
    for (const assembly of this.#open.values()) {
      if (isLast) assembly.drain();
      else assembly.client.hangUp();
    }
  }

  failAll(fault: RpcFault): void {
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
