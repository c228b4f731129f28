/** All live runs of one keeper, of every kind: starts, finds and ends them. */
import { join } from "node:path";
import type { EndReason, RunView } from "../protocol/run.ts";
import type { Sources } from "../random.ts";
import { isNodeHost, type Config } from "../config/schema.ts";
import { markerOf, runIdPrefix } from "../platform/marker.ts";
import { stateLetters, type Epoch, type Excess, type Platform, type SpawnRequest } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import { baseEnvironment, mergeEnvironment } from "../platform/environment.ts";
import type { RemoteRuns } from "./remote-runs.ts";
import { ErrorLog } from "./error-log.ts";
import type { Ledger } from "./ledger.ts";
import type { LedgerRow } from "./ledger-row.ts";
import type { Launch, StartRequest } from "./launch.ts";
import { Leftovers } from "./leftovers.ts";
import { describeExcess } from "./limit-watch.ts";
import type { Log } from "./log.ts";
import type { KeeperSources } from "./own-process.ts";
import type { HeldRun } from "../protocol/keeper/messages.ts";
import { Packages } from "./packages/packages.ts";
import { checkRoom } from "./room.ts";
import { Run } from "./run.ts";
import { notEnded, runView } from "../protocol/keeper/run-view.ts";
import { LineRelay, type FrontPort } from "./relay.ts";

/** Time for strays to end before a list is returned; what cannot be killed must not hold up each list. */
const strayBoundMs = 200;

export interface TableParts extends Sources {
  platform: Platform;
  process: Pick<KeeperSources["process"], "usage">;
  config: Config;
  fences: Epoch;
  ledger: Ledger;
  log: Log;
  epoch: number;
  ownerId: string;
  runsDirectory: string;
  /** Packages installed for `resolveNpx`. */
  packagesDirectory: string;
  onChange: (run: Run) => void;
  remote: RemoteRuns;
  /** Rejects without a guardian on watch; undefined when one is. */
  mustWatch: () => Promise<void> | undefined;
}

export class RunTable {
  readonly #parts: TableParts;
  readonly #runs = new Map<string, Run>();
  readonly #channels = new Map<number, Run>();
  #nextChannel = 1;
  #closed = false;
  #port: FrontPort | undefined;
  /** Packages of the servers with `resolveNpx`. */
  readonly packages: Packages;
  /** Survivors of earlier epochs. */
  readonly leftovers: Leftovers;

  constructor(parts: TableParts) {
    this.#parts = parts;
    this.leftovers = new Leftovers(parts);
    this.packages = new Packages({
      clock: parts.clock,
      random: parts.random,
      root: parts.packagesDirectory,
      servers: () => parts.config.mcpServers,
      log: parts.log,
      launch: (launch) => this.launch(launch),
      makeErrorLog: (id) => this.#errorLog(id),
    });
  }

  get size(): number {
    return this.#runs.size + this.leftovers.size;
  }

  async start(request: StartRequest): Promise<Run> {
    const server = this.#parts.config.mcpServers[request.server];
    const name = JSON.stringify(request.server);
    if (server === undefined || !server.enabled || "url" in server)
      throw new HoldfastError("server_unknown", `no enabled server named ${name} in the config`);
    const { cwd, limits, host, hostFallback } = server;
    const isNodes = isNodeHost(host);
    if (isNodes && hostFallback !== "local")
      throw new HoldfastError("server_unknown", `MCP server ${name} runs on node ${host}, not here`);
    const env = mergeEnvironment(baseEnvironment(), server.env);
    const port = this.#port;
    const { command, args, path } = server.resolveNpx
      ? await this.packages.resolve(request.server, server, request.sessionId)
      : { ...server, path: undefined };
    if (port !== this.#port) throw new HoldfastError("gateway_lost", "the front that asked for this server is gone");
    if (path !== undefined) env["PATH"] = `${path}:${env["PATH"] ?? ""}`; // resolveNpx is for Unix
    return this.launch({
      ...request,
      kind: "mcp",
      scopeKey: null,
      command: [command, ...args].join(" "),
      limits,
      request: { command, args, cwd, env },
      place: (container, remote) => remote.place(container, isNodes ? { ...server, host: "local" } : server),
      isOutdated: () => this.#parts.config.mcpServers[request.server] !== server,
      prepare: (id, channel, { onExcess }) => ({ io: new LineRelay(channel, onExcess, this.#errorLog(id)) }),
    });
  }

  /** Throws `gateway_busy`, `guardian_down`, `run_limit`, `spawn_failed`. The row is written before the spawn. */
  async launch(launch: Launch): Promise<Run> {
    const port = this.#port;
    const watching = this.#closed ? undefined : this.#parts.mustWatch();
    if (watching !== undefined) await watching;
    if (this.#closed) throw new HoldfastError("gateway_busy", "the gateway is stopping");
    if (launch.kind === "mcp" && port !== this.#port)
      throw new HoldfastError("gateway_lost", "the front that asked for this server is gone");
    checkRoom(this.#runs.size, this.#parts.config.limits.runsMax, this.#parts.process.usage());
    const { run, spawn } = this.#prepare(launch);
    await run.start(spawn);
    // If its front has died since, the run is already being ended.
    if (port !== undefined && port === this.#port) run.relay?.attach(port);
    return run;
  }

  get(id: string): Run | undefined {
    return this.#runs.get(id);
  }

  byChannel(channel: number): Run | undefined {
    return this.#channels.get(channel);
  }

  live(): Run[] {
    return [...this.#runs.values()];
  }

  list(all: boolean): RunView[] {
    const live = [...this.live().map((run) => run.view()), ...this.leftovers.views()];
    return all ? [...live, ...this.#parts.ledger.history(1000).map((row) => runView(row))] : live;
  }

  /**
   * Before a list is returned: ends empty runs and marked processes without a run, so that a list never omits live processes.
   */
  async reconcile(): Promise<void> {
    const { fences, log, remote } = this.#parts;
    for (const run of this.live()) run.reconcile();
    const { ended, left } = await fences.endStrays((id) => this.#runs.has(id) || remote.holds(id), strayBoundMs);
    const tell = (what: string) => log.warn({ event: "orphan.swept", what });
    for (const { pid, run } of ended) tell(`ended pid ${pid} of run ${run}, which is no longer held`);
    for (const { pid, run, state } of left)
      tell(`could not end pid ${pid} (state ${stateLetters[state]}) of run ${run}, which is no longer held`);
  }

  /** A new front: runs that it starts or adopts talk to it from now on. */
  attach(port: FrontPort): void {
    this.#port = port;
  }

  /** Runs that outlived the previous front, for the next one to adopt. */
  held(): HeldRun[] {
    return this.live().flatMap((run) => {
      const { relay, blob } = run;
      if (relay === undefined || relay.attached || run.state !== "running") return [];
      return [{ run: run.summary(), blob, openIds: relay.openIds.view() }];
    });
  }

  /** Throws `run_unknown`, or `run_ended` once its end has begun. */
  adopt(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) throw new HoldfastError("run_unknown", `no live run ${id}`);
    if (run.state !== "running" || run.relay === undefined || this.#port === undefined)
      throw new HoldfastError("run_ended", `run ${id} is ${run.state}`);
    if (!run.relay.attached) run.relay.attach(this.#port);
    return run;
  }

  /** Ends runs without a front whose config is outdated; fronts handle their own runs. */
  endOutdated(): void {
    for (const run of this.live())
      if (run.relay?.attached === false && run.isOutdated && run.state === "running") void run.end("config-changed"); // never rejects
  }

  /** The front listens: runs that it has not adopted are ownerless and end. */
  endUnowned(): void {
    for (const { run } of this.held()) {
      this.#parts.log.warn({ event: "run.unowned", run: run.id, session: run.sessionId });
      void this.#runs.get(run.id)?.end("front-lost"); // never rejects
    }
  }

  /** The front is gone: ends the runs tied to it, including those being started for it. Resolves when they are gone. */
  async detach(): Promise<void> {
    this.#port = undefined;
    for (const run of this.#runs.values()) run.relay?.detach();
    const doomed = this.live().filter((run) => run.onFrontLoss === "kill" || run.state === "starting");
    await Promise.all(doomed.map((run) => run.whenEnded() ?? run.end("front-lost")));
  }

  /** Refuses new runs and ends all. Resolves with the survivors of this epoch and earlier ones. */
  async close(reason: EndReason): Promise<RunView[]> {
    this.#closed = true;
    this.leftovers[Symbol.dispose]();
    await Promise.all(this.live().map((run) => run.whenEnded() ?? run.end(reason)));
    const left = this.live().filter((run) => run.summary().survivors.length > 0);
    for (const run of left) run.leave();
    return [...left.map((run) => run.summary()), ...this.leftovers.views()];
  }

  hurry(): void {
    for (const run of this.live()) void run.end("shutdown", true);
  }

  #prepare(launch: Launch): { run: Run; spawn: SpawnRequest } {
    const { kind, server, sessionId, scopeKey, command, limits, onFrontLoss } = launch;
    const { clock, random, platform, fences, ledger, ownerId, epoch, config, log } = this.#parts;
    const id = `${runIdPrefix(epoch)}${random.bytes(4).toString("hex")}`;
    const here = fences.create(id);
    const { container, host } = launch.place?.(here, this.#parts.remote) ?? { container: here, host: "local" };
    const channel = this.#nextChannel++;
    const prepared = launch.prepare(id, channel, {
      hangUp: () => void container.ask("hangup"),
      onExcess: () => void run.end("limit-exceeded", true), // never rejects
    });
    const what = { id, kind, server, sessionId, scopeKey, host, command, cwd: launch.request.cwd ?? null };
    const fence = { container: container.name, marker: markerOf(ownerId, id), policy: onFrontLoss, epoch };
    const notSpawned = { pid: null, startTime: null, processGroup: null, bootId: platform.bootId(), survivors: null };
    const requestId = launch.requestId ?? null;
    const own = { state: "starting" as const, startedAt: clock.now(), requestId };
    const row: LedgerRow = { ...what, ...fence, ...notSpawned, ...notEnded, ...own };
    const onChange = () => {
      this.#changed(run);
      launch.onChange?.(run);
    };
    const onExcess = (excess: Excess) => log.warn({ event: "run.exceeded", run: id, what: describeExcess(excess) });
    const { processes } = platform;
    const common = { container, ledger, processes, graces: config.stop, limits, clock, onExcess, onChange };
    const run = new Run(channel, row, { ...prepared, ...common }, launch);
    this.#runs.set(id, run);
    this.#channels.set(channel, run);
    launch.onPrepared?.(run);
    log.info({ event: "run.intended", run: id, kind, server, session: sessionId });
    return { run, spawn: { ...launch.request, ...prepared.io.request() } };
  }

  #errorLog(id: string): ErrorLog {
    return new ErrorLog(join(this.#parts.runsDirectory, `${id}.log`));
  }

  #changed(run: Run): void {
    const { id, state, endReason, exitCode, signal, survivors, leaderEndedAt } = run.summary();
    // Also called when the command has ended and its descendants are kept; log the start only once.
    if (state === "running" && leaderEndedAt === null) this.#parts.log.info({ event: "run.spawned", run: id });
    if (state === "stopping")
      this.#parts.log.info({ event: "run.stopping", run: id, endReason, survivors: survivors.map(({ pid }) => pid) });
    if (state === "exited") {
      this.#parts.log.info({ event: "run.ended", run: id, endReason, exitCode, signal });
      this.#runs.delete(id);
      this.#channels.delete(run.channel);
    }
    this.#parts.onChange(run);
  }
}
