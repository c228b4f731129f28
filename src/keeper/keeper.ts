/** One life of the keeper: opens what it owns in order, and closes it in the reverse order. */
import { HoldfastError } from "../errors.ts";
import type { Config } from "../config/schema.ts";
import { closeAllOnExec } from "../contain/ffi.ts";
import { openContainment, type Probed } from "../contain/probe.ts";
import { markerOf } from "../contain/marker.ts";
import { bootId, readProcess } from "../contain/processes.ts";
import type { TierName } from "../contain/types.ts";
import { version } from "../version.ts";
import { BackgroundRuns } from "./background/runs.ts";
import { drainBoundMs, frontConfig } from "./front-config.ts";
import { crashEntry, CrashRecords, recordUncaught } from "./crashes.ts";
import { Desk } from "./desk.ts";
import { FarRuns } from "./far-runs.ts";
import { Figures } from "./figures.ts";
import { FrontSupervisor, type FrontProcess } from "./front.ts";
import { FrontVoice } from "./front-voice.ts";
import { Guardian } from "./guardian.ts";
import { RestartIntensity } from "./intensity.ts";
import type { Ledger } from "./ledger.ts";
import { openLog, type Log, type OpenLog } from "./log.ts";
import { recordLostEpochs } from "./lost-epochs.ts";
import type { ConfigChange } from "./protocol/messages.ts";
import type { KeeperStatus } from "./protocol/status.ts";
import type { NodeFinish } from "./protocol/node.ts";
import { awaitOldGuardian, reconcile, type Reconciled } from "./reconcile.ts";
import type { Run } from "./run.ts";
import { RunTable } from "./run-table.ts";
import type { KeeperEnd, KeeperOptions } from "./keeper-life.ts";
import { takeLedger } from "./take-ledger.ts";
import { TokenWatch } from "./tokens/token-watch.ts";
import {
  openStateDirectory,
  readKeeperRecord,
  readOrMakeSecret,
  removeKeeperRecord,
  writeKeeperRecord,
  type StatePaths,
} from "./state-directory.ts";

export class Keeper {
  readonly paths: StatePaths;
  readonly config: Config;
  readonly refusedTiers: string[];
  urls: string[] = [];
  readonly #options: KeeperOptions;
  readonly #log: Log;
  readonly #opened: OpenLog;
  readonly #ledger: Ledger;
  readonly #epoch: number;
  readonly #ownerId: string;
  readonly #probed: Probed;
  readonly #crashes: CrashRecords;
  readonly #lastWords: Disposable;
  readonly #tokens: TokenWatch;
  readonly #guardian: Guardian;
  readonly #front: FrontSupervisor;
  readonly #far: FarRuns;
  readonly #table: RunTable;
  readonly #background: BackgroundRuns;
  readonly #figures: Figures;
  readonly #startedAt = Date.now();
  readonly #ended = Promise.withResolvers<KeeperEnd>();
  #reconciled: Reconciled = { words: [], swept: 0, far: [] };
  #closing: Promise<void> | undefined;
  #hasListened = false;
  #certificate: string | null = null;

  /** Takes the state directory, the ledger's lock and the tier, or throws with nothing started. */
  constructor(options: KeeperOptions) {
    this.#options = options;
    this.config = options.live.config;
    this.paths = openStateDirectory(options.state);
    this.#ledger = takeLedger(this.paths, this.config.node.leaseMaxMs);
    this.#ownerId = readOrMakeSecret(this.paths.owner, 8);
    this.#opened = openLog(this.paths.log);
    this.#log = this.#opened.log;
    this.#tokens = new TokenWatch(this.paths, this.#log, (tokens) => this.#front.tell({ type: "tokens", tokens }));
    const startTime = readProcess(process.pid)?.startTime ?? "";
    this.#epoch = this.#ledger.beginEpoch(bootId(), process.pid, startTime, this.#startedAt);
    this.#crashes = new CrashRecords(this.paths.crashes, this.#epoch);
    this.#lastWords = recordUncaught(this.#crashes);
    recordLostEpochs(this.#ledger, this.#crashes, this.paths, this.#epoch);
    try {
      this.#probed = openContainment(this.#ownerId, this.#epoch, this.paths.bin, options.tier);
    } catch (thrown) {
      // A start that was refused is no crash.
      this.#ledger.endEpoch(this.#epoch, Date.now());
      throw thrown;
    }
    this.refusedTiers = this.#probed.refused;
    closeAllOnExec(); // what the keeper's own starter left open is not for servers either
    this.#guardian = this.#makeGuardian();
    const { config, paths } = this;
    const { containment } = this.#probed;
    const [ownerId, epoch, ledger, log] = [this.#ownerId, this.#epoch, this.#ledger, this.#log];
    this.#far = new FarRuns({ config, containment, ownerId, epoch, directory: paths.ssh, log });
    const common = { config, ledger, log, runsDirectory: paths.runs };
    const onChange = (run: Run) => this.#front.tell({ type: "run.state", run: run.summary(), channel: run.channel });
    const own = { containment, epoch, ownerId, packagesDirectory: paths.packages, far: this.#far };
    this.#table = new RunTable({ ...common, ...own, onChange });
    this.#background = new BackgroundRuns({ ...common, table: this.#table, node: options.node });
    this.#front = this.#makeFront();
    const [table, front, guardian, crashes] = [this.#table, this.#front, this.#guardian, this.#crashes];
    this.#figures = new Figures({ table, front, guardian, crashes }, this.#startedAt);
    this.#opened.onLifecycle = (event) => {
      this.#figures.count(event);
      this.#front.tell({ type: "event", event });
    };
    log.info({ event: "keeper.started", version, epoch, tier: this.tier, refused: this.refusedTiers });
  }

  get tier(): TierName {
    return this.#probed.containment.tier;
  }

  /** Resolves when this life is over, however it came to that. */
  get ended(): Promise<KeeperEnd> {
    return this.#ended.promise;
  }

  /** What the start found of earlier lives. */
  get reconciled(): Reconciled {
    return this.#reconciled;
  }

  /** Reconciles, sets the guardian on watch, then lets the front speak. */
  async start(): Promise<void> {
    try {
      const before = readKeeperRecord(this.paths);
      await awaitOldGuardian(before === undefined ? undefined : { ...before.guardian, bootId: before.bootId });
      this.#reconciled = await reconcile(this.#ledger, this.#probed.containment, this.#ownerId, this.#epoch, this.#log);
      await this.#guardian.start();
      this.#far.sweep(this.#ledger, this.#reconciled.far);
      this.#tokens.start();
      this.#front.start();
    } catch (thrown) {
      await this.close("shutdown", thrown instanceof HoldfastError ? thrown : undefined);
      throw thrown;
    }
  }

  status(): KeeperStatus {
    return {
      ...this.#figures.status(),
      tier: this.tier,
      epoch: this.#epoch,
      hosts: this.#far.views(),
      orphansSwept: this.#reconciled.swept,
      reconciled: this.#reconciled.words,
    };
  }

  /** Reads the config anew: its servers are taken, the rest is named. Throws why it is refused; then all is as it was. */
  reload(): ConfigChange {
    const { live } = this.#options;
    const change = live.reload(this.#log);
    this.#table.endOutdated();
    this.#writeRecord();
    this.#front.tell({ type: "servers", servers: live.servers, change });
    return change;
  }

  /** Skips every grace of a close that is under way. */
  hurry(): void {
    this.#table.hurry();
  }

  /**
   * Orderly end: doors, runs, front, guardian, fence, record. `ended` resolves after it, with what `end` adds. A second
   * call joins the first.
   */
  close(reason: "shutdown" | "front-lost", error?: HoldfastError, end: Partial<KeeperEnd> = {}): Promise<void> {
    this.#closing ??= this.#close(reason, error, end);
    return this.#closing;
  }

  async #close(reason: "shutdown" | "front-lost", error: HoldfastError | undefined, end: Partial<KeeperEnd>) {
    this.#log.info({ event: "keeper.stopping", reason, error: error?.message });
    this.#tokens[Symbol.dispose]();
    const frontGone = this.#front.close();
    this.#background.close();
    this.#far.stopConnecting();
    const survivors = await this.#table.close(reason);
    await frontGone;
    await this.#far.close();
    // With survivors the guardian must not be told that all is done: it goes on to look for what is marked.
    if (survivors.length === 0) await this.#guardian.dismiss();
    this.#probed.containment.close();
    this.#ledger.endEpoch(this.#epoch, Date.now());
    this.#ledger.close();
    removeKeeperRecord(this.paths);
    this.#log.info({ event: "keeper.ended", survivors: survivors.map(({ id }) => id) });
    this.#opened.close();
    this.#lastWords[Symbol.dispose]();
    this.#ended.resolve({ survivors, error, again: false, exitCode: null, ...end });
  }

  #makeGuardian(): Guardian {
    const { fence, home } = this.#probed.containment.guardian;
    return new Guardian({
      marker: markerOf(this.#ownerId, `r${this.#epoch}-`),
      fence,
      home,
      crashes: this.#crashes,
      onRestart: () => {
        this.#log.warn({ event: "guardian.restarted", pid: this.#guardian.pid });
        this.#writeRecord();
      },
      onGivenUp: (error) => void this.close("shutdown", error), // `ended` tells the outcome
    });
  }

  #makeFront(): FrontSupervisor {
    const { frontRestartsMax, frontRestartWindowMs, frontStuckMs, keepMs } = this.config.limits;
    const desk = new Desk({
      table: this.#table,
      background: this.#background,
      log: this.#log,
      status: () => this.status(),
      figures: () => this.#figures.read(),
      onListening: (urls) => this.#listening(urls),
      onFailed: (error) => this.#frontFailed(error),
      onProgress: (progress) => this.#options.node?.onProgress(progress),
      onFinished: this.#options.node && ((finish) => this.#finished(finish)),
      onHeartbeat: (lastMethod) => void Object.assign(this.#front, { lastMethod }),
      stop: () => void this.close("shutdown"), // `ended` tells the outcome
      reload: () => this.reload(),
      restart: (all) => void (all ? this.close("shutdown", undefined, { again: true }) : this.#front.restart()), // likewise
    });
    return new FrontSupervisor({
      frontDirectory: this.paths.front,
      entry: this.#options.node?.entry,
      crashes: this.#crashes,
      log: this.#log,
      voice: new FrontVoice(this.#opened),
      intensity: new RestartIntensity(frontRestartsMax, frontRestartWindowMs),
      stuckMs: frontStuckMs,
      drainBoundMs: drainBoundMs(this.config),
      keepMs,
      onStart: (front) => this.#greet(front),
      onMessage: (message, front) => desk.hear(message, front),
      onFrame: (frame) => this.#table.byChannel(frame.channel)?.relay?.toServer(frame),
      onEnd: (crash) => {
        if (crash !== undefined) this.#log.error(crashEntry(crash));
        if (this.#closing !== undefined) return Promise.resolve();
        this.#background.frontLost();
        return this.#table.detach();
      },
      onGivenUp: (error) => void this.close("front-lost", error), // `ended` tells the outcome
    });
  }

  #greet(front: FrontProcess): void {
    this.#table.attach(front.port);
    this.#table.endOutdated();
    this.#guardian.watchFront(front.pid);
    // A front after the first takes the port that its clients know.
    const port = this.#hasListened ? Number(new URL(this.urls[0] ?? "").port) : this.config.port;
    const hello = { version, epoch: this.#epoch, frontEpoch: front.epoch, tokens: this.#tokens.grants };
    const config = frontConfig(this.config, port);
    this.#certificate = config.tls?.cert ?? null;
    const node = this.#options.node ? { ...this.#options.node.settings, tier: this.tier } : null;
    front.tell({ type: "hello", ...hello, node, frontDir: this.paths.front, config, runs: this.#table.held() });
  }

  #listening(urls: string[]): void {
    this.urls = urls;
    this.#hasListened = true;
    this.#background.frontBack();
    this.#writeRecord();
    this.#front.serves();
    this.#table.endUnowned();
    this.#log.info({ event: "front.listening", urls, restarts: this.#front.restarts });
    this.#options.onListening(this, this.#front.restarts);
  }

  /** Said by a node's front only; a gateway's has no such end. */
  #finished({ exitCode, failure }: NodeFinish): void {
    const error = failure === null ? undefined : new HoldfastError(failure.code, failure.message);
    void this.close("shutdown", error, { exitCode }); // `ended` tells the outcome
  }

  /** The first front that cannot listen ends the start; a later one is a crash like any other and is tried again. */
  #frontFailed(error: HoldfastError): void {
    this.#log.error({ event: "front.failed", error: error.message });
    if (!this.#hasListened) void this.close("shutdown", error); // `ended` tells the outcome
  }

  #writeRecord(): void {
    if (!this.#hasListened || this.#closing !== undefined) return;
    const { pid, startTime = "" } = readProcess(process.pid) ?? { pid: process.pid };
    const { urls, tier } = this;
    const self = { version, pid, startTime, bootId: bootId(), epoch: this.#epoch, tier, url: urls[0] ?? "", urls };
    const helpers = { front: { pid: this.#front.pid }, guardian: this.#guardian.identity() };
    const read = { config: this.#options.live.file ?? null, certificate: this.#certificate };
    writeKeeperRecord(this.paths, { ...self, node: this.#options.node?.settings.id ?? null, ...read, ...helpers });
  }
}
