/** One life of the keeper: opens what it owns in order, and closes it in the reverse order. */
import type { RunView } from "../protocol/run.ts";
import type { ConfigChange } from "../protocol/keeper/front-config.ts";
import { turn } from "../clock.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import type { Config } from "../config/schema.ts";
import type { TierName } from "../platform/types.ts";
import { version } from "../version.ts";
import { BackgroundRuns } from "./background/runs.ts";
import { drainBoundMs, frontConfig } from "./front-config.ts";
import { crashEntry } from "./crashes.ts";
import { RequestHandler } from "./request-handler.ts";
import { RemoteRuns } from "./remote-runs.ts";
import { Figures } from "./figures.ts";
import { FrontSupervisor, type FrontProcess } from "./front.ts";
import { FrontVoice } from "./front-voice.ts";
import { Guardian } from "./guardian.ts";
import { RestartIntensity } from "./intensity.ts";
import type { Ledger } from "./ledger.ts";
import type { Log } from "./log.ts";
import type { LeftoverParts } from "./leftovers.ts";
import { openKeeper, type Opening } from "./opening.ts";
import type { KeeperStatus } from "../protocol/keeper/status.ts";
import type { NodeFinish } from "../protocol/keeper/node.ts";
import { RecordWriter } from "./record-writer.ts";
import { awaitOldGuardian, reconcile, type Reconciled } from "./reconcile.ts";
import type { Run } from "./run.ts";
import { RunTable } from "./run-table.ts";
import { Ending, type KeeperEnd, type KeeperOptions, type RequestedEnd } from "./keeper-life.ts";
import { readKeeperRecord, type StatePaths } from "./state-directory.ts";

export class Keeper {
  readonly paths: StatePaths;
  readonly config: Config;
  readonly refusedTiers: string[];
  readonly #options: KeeperOptions;
  readonly #log: Log;
  readonly #ledger: Ledger;
  readonly #epoch: number;
  readonly #opening: Opening;
  readonly #earlier: LeftoverParts;
  readonly #guardian: Guardian;
  readonly #front: FrontSupervisor;
  readonly #remote: RemoteRuns;
  readonly #table: RunTable;
  readonly #background: BackgroundRuns;
  readonly figures: Figures;
  readonly #ended = Promise.withResolvers<KeeperEnd>();
  #reconciled: Reconciled = { findings: [], swept: 0, remote: [], left: [] };
  readonly #ending = new Ending();
  readonly #record: RecordWriter;

  /** Takes the state directory, the ledger's lock and the tier; throws with nothing started. */
  constructor(options: KeeperOptions) {
    this.#options = options;
    this.config = options.live.config;
    const opening = openKeeper(options, (tokens) => this.#front.tell({ type: "tokens", tokens }));
    const { paths, ledger, ownerId, epoch, opened, fenced, startedAt } = opening;
    this.paths = paths;
    this.#opening = opening;
    this.#ledger = ledger;
    this.#epoch = epoch;
    this.#log = opened.log;
    this.refusedTiers = fenced.refused.map(({ tier, reason }) => `${tier}: ${reason}`);
    this.#guardian = this.#makeGuardian();
    const { config } = this;
    const { clock, random, platform, process } = options.sources;
    const [fences, log] = [fenced.epoch, opened.log];
    this.#remote = new RemoteRuns({ config, fences, ownerId, epoch, directory: paths.ssh, log, clock, random });
    const common = { clock, platform, config, ledger, log, runsDirectory: paths.runs };
    const onChange = (run: Run) => this.#front.tell({ type: "run.state", run: run.summary(), channel: run.channel });
    const mustWatch = () => this.#guardian.mustWatch();
    this.#earlier = { ledger, fences, log, clock, platform };
    const own = { fences, epoch, ownerId, packagesDirectory: paths.packages, remote: this.#remote, mustWatch };
    this.#table = new RunTable({ ...common, ...own, random, process, onChange });
    this.#background = new BackgroundRuns({ ...common, table: this.#table, node: options.node });
    this.#front = this.#makeFront();
    this.#record = this.#makeRecord(options);
    const [table, front, guardian, crashes] = [this.#table, this.#front, this.#guardian, opening.crashes];
    this.figures = new Figures({ sources: options.sources, table, front, guardian, crashes }, startedAt);
    opened.onLifecycle = (event) => {
      this.figures.count(event);
      this.#front.tell({ type: "event", event });
    };
    log.info({ event: "keeper.started", version, epoch, tier: this.tier, refused: this.refusedTiers });
    options.live.logUnavailable(log);
  }

  get tier(): TierName {
    return this.#opening.fenced.epoch.tier;
  }

  /** Addresses of the front; empty until it listens. */
  get urls(): string[] {
    return this.#record.urls;
  }

  /** Resolves when this life is over, for any reason. */
  get ended(): Promise<KeeperEnd> {
    return this.#ended.promise;
  }

  /** Findings of the start about earlier lives. */
  get reconciled(): Reconciled {
    return this.#reconciled;
  }

  /** Reconciles, starts the guardian, then the front. */
  async start(): Promise<void> {
    try {
      await awaitOldGuardian(readKeeperRecord(this.paths), this.#earlier);
      this.#reconciled = await reconcile(this.#earlier);
      this.#table.leftovers.hold(this.#reconciled.left);
      await this.#guardian.start();
      this.#remote.sweep(this.#ledger, this.#reconciled.remote);
      this.#opening.tokens.start();
      this.#front.start();
    } catch (thrown) {
      await this.close("shutdown", thrown instanceof HoldfastError ? thrown : undefined);
      throw thrown;
    }
  }

  status(): KeeperStatus {
    return {
      ...this.figures.status(),
      tier: this.tier,
      epoch: this.#epoch,
      hosts: this.#remote.views(),
      orphansSwept: this.#reconciled.swept,
      reconciled: this.#reconciled.findings,
    };
  }

  /** Reloads the config: applies server changes and lists the others. Throws on refusal, with nothing changed. */
  reload(): ConfigChange {
    if (this.#ending.isUnderWay) throw new HoldfastError("gateway_busy", "the gateway is stopping");
    const { live } = this.#options;
    const change = live.reload(this.#log);
    this.#table.endOutdated();
    this.#record.write();
    this.#front.tell({ type: "servers", servers: live.servers, change });
    return change;
  }

  /** Skips the remaining graces of a close. */
  hurry(): void {
    this.#table.hurry();
  }

  /**
   * Orderly end: endpoints, runs, front, guardian, fence, record. `ended` resolves after it, with the values of `end`. A second
   * call joins the first by the rule of `Ending`.
   */
  close(reason: "shutdown" | "front-lost", error?: HoldfastError, end: Partial<RequestedEnd> = {}): Promise<void> {
    return this.#ending.request({ error, ...end }, () => this.#close(reason));
  }

  /** Never rejects: `ended` must resolve whatever goes wrong on the way. */
  async #close(reason: "shutdown" | "front-lost"): Promise<void> {
    try {
      const survivors = await this.#closeInOrder(reason);
      this.#ended.resolve({ survivors, ...this.#ending.asked });
    } catch (thrown) {
      this.#opening.lastWords.failed(thrown);
      const error = this.#ending.asked.error ?? asHoldfastError(thrown);
      this.#ended.resolve({ survivors: [], ...this.#ending.asked, error });
    }
  }

  async #closeInOrder(reason: "shutdown" | "front-lost"): Promise<RunView[]> {
    this.#log.info({ event: "keeper.stopping", reason, error: this.#ending.asked.error?.message });
    this.#opening.tokens[Symbol.dispose]();
    const frontGone = this.#front.close();
    this.#background.close();
    this.#remote.stopConnecting();
    const survivors = await this.#table.close(reason);
    await frontGone;
    await this.#remote.close();
    // With survivors the guardian stays on duty and keeps looking for marked processes.
    if (survivors.length === 0) await this.#guardian.dismiss();
    this.#opening.fenced.epoch.close();
    this.#ledger.endEpoch(this.#epoch, this.#options.sources.clock.now());
    this.#ledger.close();
    this.#record.remove();
    this.#log.info({ event: "keeper.ended", survivors: survivors.map(({ id }) => id) });
    this.#opening.opened.close();
    await turn(this.#options.sources.clock); // a stop signalled during these last steps is handled before a restart
    this.#opening.release();
    return survivors;
  }

  #makeRecord({ sources, live, node }: KeeperOptions): RecordWriter {
    return new RecordWriter({
      sources,
      paths: this.paths,
      epoch: this.#epoch,
      tier: this.tier,
      node: node?.settings.id ?? null,
      config: () => live.file ?? null,
      front: this.#front,
      guardian: this.#guardian,
    });
  }

  #makeGuardian(): Guardian {
    return new Guardian({
      ...this.#options.sources,
      spawn: () => this.#opening.fenced.epoch.watchdog(),
      crashes: this.#opening.crashes,
      onRestart: () => {
        this.#log.warn({ event: "guardian.restarted", pid: this.#guardian.pid });
        this.#record.write();
      },
      onRefused: (error) => this.#log.error({ event: "guardian.refused", error }),
      onGivenUp: (error) => void this.close("shutdown", error), // `ended` reports the outcome
    });
  }

  #makeFront(): FrontSupervisor {
    const { frontRestartsMax, frontRestartWindowMs, frontStuckMs, keepMs } = this.config.limits;
    const handler = new RequestHandler({
      table: this.#table,
      background: this.#background,
      log: this.#log,
      status: () => this.status(),
      figures: () => this.figures.read(),
      onListening: (urls) => this.#listening(urls),
      onFailed: (error) => this.#frontFailed(error),
      onProgress: (progress) => this.#options.node?.onProgress(progress),
      onFinished: this.#options.node && ((finish) => this.#finished(finish)),
      onHeartbeat: (lastMethod) => void Object.assign(this.#front, { lastMethod }),
      stop: () => void this.close("shutdown"), // `ended` reports the outcome
      reload: () => this.reload(),
      recheck: () => this.#options.live.recheck(this.#log, (news) => this.#front.tell(news)),
      // A restart of everything includes the front's, and a stop includes both: see Supervisor and Ending.
      restart: (all) => void (all ? this.close("shutdown", undefined, { again: true }) : this.#front.restart()),
    });
    return new FrontSupervisor({
      ...this.#options.sources,
      frontDirectory: this.paths.front,
      entry: this.#options.node?.entry,
      crashes: this.#opening.crashes,
      log: this.#log,
      voice: new FrontVoice(this.#opening.opened),
      intensity: new RestartIntensity(frontRestartsMax, frontRestartWindowMs),
      stuckMs: frontStuckMs,
      drainBoundMs: drainBoundMs(this.config),
      keepMs,
      onStart: (front) => this.#greet(front),
      onMessage: (message, front) => handler.hear(message, front),
      onFrame: (frame) => this.#table.byChannel(frame.channel)?.relay?.toServer(frame),
      onEnd: (crash) => {
        if (crash !== undefined) this.#log.error(crashEntry(crash));
        if (this.#ending.isUnderWay) return Promise.resolve();
        this.#background.frontLost();
        return this.#table.detach();
      },
      onGivenUp: (error) => void this.close("front-lost", error), // `ended` reports the outcome
    });
  }

  #greet(front: FrontProcess): void {
    this.#table.attach(front.port);
    this.#table.endOutdated();
    this.#guardian.watchFront(front.pid);
    // Later fronts reuse the port that clients know.
    const [url] = this.urls;
    const port = url === undefined ? this.config.port : Number(new URL(url).port);
    const hello = { version, epoch: this.#epoch, frontEpoch: front.epoch, tokens: this.#opening.tokens.grants };
    const config = frontConfig(this.config, port, this.#options.live.tls);
    this.#record.certificate = config.tls?.cert ?? null;
    const node = this.#options.node ? { ...this.#options.node.settings, tier: this.tier } : null;
    front.tell({ type: "hello", ...hello, node, frontDir: this.paths.front, config, runs: this.#table.held() });
  }

  #listening(urls: string[]): void {
    this.#record.urls = urls;
    this.#background.frontBack();
    this.#record.write();
    this.#front.serves();
    this.#table.endUnowned();
    this.#log.info({ event: "front.listening", urls, restarts: this.#front.restarts });
    this.#options.onListening(this.#front.restarts);
  }

  /** Sent by a node's front only. */
  #finished({ exitCode, failure }: NodeFinish): void {
    const error = failure === null ? undefined : new HoldfastError(failure.code, failure.message);
    void this.close("shutdown", error, { exitCode }); // `ended` reports the outcome
  }

  /** If the first front cannot listen, the start fails; for a later one it counts as a crash and is retried. */
  #frontFailed(error: HoldfastError): void {
    this.#log.error({ event: "front.failed", error: error.message });
    if (this.urls.length === 0) void this.close("shutdown", error); // `ended` reports the outcome
  }
}
