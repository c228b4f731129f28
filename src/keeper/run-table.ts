/** All live runs of one keeper: starts them by the name of a configured server, knows them, ends them. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Config, ServerConfig } from "../config/schema.ts";
import { markerOf } from "../contain/marker.ts";
import { bootId } from "../contain/processes.ts";
import type { Containment } from "../contain/types.ts";
import { HoldfastError } from "../errors.ts";
import { baseEnvironment } from "../contain/environment.ts";
import type { FarRuns } from "./far-runs.ts";
import { ErrorLog } from "./error-log.ts";
import type { Ledger, LedgerRow } from "./ledger.ts";
import type { Log } from "./log.ts";
import type { EndReason, HeldRun, RunView } from "./protocol/messages.ts";
import { Run, rowView } from "./run.ts";
import type { FrontPort } from "./relay.ts";

export interface StartRequest {
  server: string;
  sessionId: string;
  onFrontLoss: "keep" | "kill";
  blob: string;
}

export interface TableParts {
  config: Config;
  containment: Containment;
  ledger: Ledger;
  log: Log;
  epoch: number;
  ownerId: string;
  runsDirectory: string;
  onChange: (run: Run) => void;
  far: FarRuns;
}

export class RunTable {
  readonly #parts: TableParts;
  readonly #runs = new Map<string, Run>();
  readonly #channels = new Map<number, Run>();
  #nextChannel = 1;
  #closed = false;
  #port: FrontPort | undefined;

  constructor(parts: TableParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#runs.size;
  }

  async start(request: StartRequest): Promise<Run> {
    const server = this.#parts.config.mcpServers[request.server];
    if (server === undefined || !server.enabled) {
      throw new HoldfastError(
        "server_unknown",
        `no enabled server named ${JSON.stringify(request.server)} in the config`,
      );
    }
    if (this.#closed) throw new HoldfastError("gateway_busy", "the gateway is stopping");
    const { runsMax } = this.#parts.config.limits;
    if (this.#runs.size >= runsMax) {
      throw new HoldfastError("run_limit", `${runsMax} runs are alive, which is limits.runsMax; end some or raise it`);
    }
    const run = this.#prepare(request, server);
    const env = { ...baseEnvironment(), ...server.env };
    const port = this.#port;
    await run.start({ command: server.command, args: server.args, cwd: server.cwd, env });
    // If its front died meanwhile it is being ended.
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
    const live = this.live().map((run) => run.view());
    return all ? [...live, ...this.#parts.ledger.history(1000).map(rowView)] : live;
  }

  /** A new front is there: the runs that it starts, and those that it adopts, speak to it from now on. */
  attach(port: FrontPort): void {
    this.#port = port;
  }

  /** What outlived the front before, for the next one to adopt. */
  held(): HeldRun[] {
    return this.live().flatMap((run) => {
      const { relay, blob } = run;
      if (relay === undefined || relay.attached || run.state !== "running") return [];
      return [{ run: run.summary(), blob, openIds: relay.openIds.view() }];
    });
  }

  /** Throws `run_unknown`, or `run_ended` when its end has begun. */
  adopt(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) throw new HoldfastError("run_unknown", `no live run ${id}`);
    if (run.state !== "running" || run.relay === undefined || this.#port === undefined)
      throw new HoldfastError("run_ended", `run ${id} is ${run.state}`);
    if (!run.relay.attached) run.relay.attach(this.#port);
    return run;
  }

  /** The front listens: what it has not adopted by now has no owner, and is ended. */
  endUnowned(): void {
    for (const { run } of this.held()) {
      this.#parts.log.warn({ event: "run.unowned", run: run.id, session: run.sessionId });
      void this.#runs.get(run.id)?.stop("front-lost"); // never rejects
    }
  }

  /** The front is gone: runs that were to die with it do, and those that it was about to get. Resolves when they are gone. */
  async detach(): Promise<void> {
    this.#port = undefined;
    for (const run of this.#runs.values()) run.relay?.detach();
    const doomed = this.live().filter((run) => run.onFrontLoss === "kill" || run.state === "starting");
    await Promise.all(doomed.map((run) => run.whenEnded() ?? run.stop("front-lost")));
  }

  /** Takes no more, ends all. `hurried` skips the graces. Resolves with what could not be ended. */
  async close(reason: EndReason): Promise<RunView[]> {
    this.#closed = true;
    const views = await Promise.all(this.live().map((run) => run.whenEnded() ?? run.stop(reason)));
    return views.filter((view) => view.survivors.length > 0);
  }

  hurry(): void {
    for (const run of this.live()) void run.kill("shutdown");
  }

  #prepare(request: StartRequest, server: ServerConfig): Run {
    const { command, args, cwd, limits } = server;
    const { containment, ledger, ownerId, epoch, runsDirectory, config, log, far } = this.#parts;
    // The epoch is in the id, so that a guardian of an older epoch can tell a newer one's runs from its own.
    const id = `r${epoch}-${randomBytes(4).toString("hex")}`;
    const { container, host } = far.place(containment.create(id), server);
    const row: LedgerRow = {
      id,
      kind: "mcp",
      server: request.server,
      sessionId: request.sessionId,
      scopeKey: null,
      host,
      command: [command, ...args].join(" "),
      cwd: cwd ?? null,
      pid: null,
      startTime: null,
      bootId: bootId(),
      processGroup: null,
      container: container.name,
      marker: markerOf(ownerId, id),
      policy: request.onFrontLoss,
      state: "starting",
      startedAt: Date.now(),
      leaderEndedAt: null,
      endedAt: null,
      endReason: null,
      exitCode: null,
      signal: null,
      epoch,
    };
    const channel = this.#nextChannel++;
    const errorLog = new ErrorLog(join(runsDirectory, `${id}.log`));
    const onChange = (run: Run) => this.#changed(run);
    const onExcess = (excessive: Run, what: string) => log.warn({ event: "run.exceeded", run: excessive.id, what });
    const parts = { container, ledger, errorLog, graces: config.stop, limits, now: Date.now, onExcess, onChange };
    const run = new Run(channel, row, parts, request);
    this.#runs.set(id, run);
    this.#channels.set(channel, run);
    log.info({ event: "run.intended", run: id, kind: "mcp", server: request.server, session: request.sessionId });
    return run;
  }

  #changed(run: Run): void {
    const { id, state, endReason, exitCode, signal, survivors } = run.summary();
    if (state === "running") this.#parts.log.info({ event: "run.spawned", run: id });
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
