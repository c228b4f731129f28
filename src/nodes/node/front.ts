/** The node's front: one connection at a time, the runs that the gateway knows, and the single run of `--once`. */
import { frameBytesMax, type GatewayMessage } from "../../protocol/node/messages.ts";
import type { RunView } from "../../protocol/run.ts";
import type { RequestedRun } from "../../protocol/background.ts";
import type { Sources } from "../../random.ts";
import type { Timer } from "../../clock.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import { runnerOver, type Runner } from "../../protocol/keeper/runner.ts";
import type { NodeFinish, NodeProgress, NodeSettings } from "../../protocol/keeper/node.ts";
import { GatewayRequests } from "./gateway-requests.ts";
import { addressOf, type ConnectTcp } from "./connect.ts";
import { Dialer } from "./dialer.ts";
import { NodeKey } from "./key.ts";
import { isSinceEpoch, KnownRuns } from "./known-runs.ts";
import { Once } from "./once.ts";
import { PinFile } from "./pin.ts";
import type { Wire } from "./wire.ts";

/** Interval of heartbeats to the keeper. */
const heartbeatMs = 1000;
/** Bytes of runs in one frame; a longer run gets its own frame. */
const runsBytesMax = frameBytesMax / 4;

/** What a node's front stands on besides its keeper; a simulation gives its own. */
export interface NodeSurroundings extends Sources {
  connectTcp: ConnectTcp;
}

export class NodeFront {
  readonly #link: KeeperLink;
  readonly #local: Runner;
  /** Live runs of the gateway, by request id. */
  readonly #live = new Set<string>();
  /** Requests whose start is under way, or was not told yet. */
  readonly #starting = new Set<string>();
  readonly #runs = new KnownRuns((request) => this.#live.has(request));
  readonly #pins: PinFile;
  readonly #requests: GatewayRequests;
  readonly #dialer: Dialer;
  readonly #once: Once | undefined;
  readonly #heartbeat: Timer;
  /** Set once we are welcome and have reported all runs. */
  #wire: Wire | undefined;
  /** Changes during a request for all runs: newer than its answer. */
  readonly #newerChanges = new Set<Map<string, RunView>>();
  #whenNoneLive: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  /** Throws what is wrong with the node's key or its pin. */
  constructor(link: KeeperLink, settings: NodeSettings, { clock, random, connectTcp }: NodeSurroundings) {
    this.#link = link;
    this.#local = runnerOver((name, params) => link.ask(name, params));
    const { version, epoch, frontDir } = link.hello;
    const key = NodeKey.open(settings.keyFile);
    this.#pins = new PinFile(frontDir);
    const { host, port } = settings;
    const pinned = this.#pins.pin?.fingerprint ?? "";
    const target = { host, port, fingerprint: settings.fingerprint ?? (pinned === "" ? null : pinned) };
    this.#once = settings.once ? new Once(settings, clock, (finish) => void this.#finish(finish)) : undefined;
    this.#requests = this.#makeRequests();
    this.#dialer = new Dialer({
      clock,
      random,
      connectTcp,
      target,
      settings,
      version,
      epoch,
      key,
      pins: this.#pins,
      onPending: (node) => this.#pending(node),
      onWelcome: (wire, welcome) => void this.#welcome(wire, welcome),
      onAsk: (ask, wire) => void this.#requests.answer(ask, wire), // never rejects
      onLost: () => {
        this.#wire = undefined;
      },
      onProgress: (progress) => link.progress(progress),
    });
    link.onRunState((run) => this.#changed(run));
    // A node does not listen: the keeper gets the address of its gateway instead.
    link.listening([addressOf(target)]);
    this.#heartbeat = clock.every(heartbeatMs, () => link.heartbeat("node"));
  }

  /** Until the node stops. */
  async run(): Promise<void> {
    await this.#recall();
    const failure = await this.#dialer.run();
    if (failure === undefined) return;
    const { code, message } = failure;
    await this.#finish({ exitCode: null, failure: { code, message } });
  }

  /** When the keeper ends all runs, the gateway hears of each, then of our departure. A replaced front says nothing. */
  close(reason: string): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: string): Promise<void> {
    this.#heartbeat.clear();
    this.#once?.[Symbol.dispose]();
    if (reason !== "restart" && this.#live.size > 0)
      await new Promise<void>((resolve) => (this.#whenNoneLive = resolve));
    await this.#dialer.close();
  }

  /** Runs started by an earlier front or keeper. */
  async #recall(): Promise<RequestedRun[]> {
    const { epoch } = this.#link.hello;
    const since = this.#pins.pin?.epoch ?? epoch;
    const changed = new Map<string, RunView>();
    this.#newerChanges.add(changed);
    const answer = await this.#link.ask("exec.requests", {}).finally(() => this.#newerChanges.delete(changed));
    const told = answer
      .filter(({ run }) => isSinceEpoch(run, since))
      .map(({ request, run }) => ({ request, run: changed.get(request) ?? run }));
    // The oldest ended come last, since the newest should be remembered longest.
    for (const { request, run } of told.toReversed()) {
      this.#runs.learn(request, run.id);
      if (run.state !== "exited") this.#live.add(request);
      if (isSinceEpoch(run, epoch)) this.#once?.started(request);
    }
    return told;
  }

  #pending(node: string): void {
    this.#once?.pending();
    const text = `waiting for approval; at the gateway: holdfast nodes approve ${node}`;
    this.#progress("pending", text, { node });
  }

  async #welcome(wire: Wire, { node, name }: Extract<GatewayMessage, { type: "welcome" }>): Promise<void> {
    const gateway = this.#pins.pin?.gateway ?? "";
    this.#progress("connected", `connected to gateway ${gateway} as ${name} (node ${node})`, { gateway, node, name });
    try {
      const told = (await this.#recall()).flatMap(({ run }) => this.#runs.told(run) ?? []);
      const frames = inFrames(told.map(brief));
      for (const [index, runs] of frames.entries()) wire.send({ type: "runs", runs, more: index < frames.length - 1 });
      if (!wire.isOpen) return;
      this.#wire = wire;
      this.#once?.welcome(wire);
      for (const each of told) this.#tellOnce(each);
    } catch (thrown) {
      wire.drop(`the keeper of this node does not say what it runs: ${String(thrown)}`);
    }
  }

  /** A short run may end before the answer to its start is sent. */
  #tellStarted(request: string, command: string): void {
    if (this.#starting.delete(request))
      this.#progress("started", `${request} started: ${command}`, { run: request, command });
  }

  #changed(run: RunView): void {
    const told = this.#runs.told(run);
    if (told === undefined) return;
    for (const changed of this.#newerChanges) changed.set(told.request, run);
    this.#wire?.send({ type: "state", ...told });
    if (run.state !== "exited") {
      this.#live.add(told.request);
      // Its end may be reported before the answer to its start.
      if (run.state === "running") this.#once?.started(told.request);
      return;
    }
    if (!this.#live.delete(told.request)) return;
    this.#tellStarted(told.request, run.command);
    const { endReason, exitCode, signal } = run;
    const how = signal ?? (exitCode === null ? "" : `code ${exitCode}`);
    const data = { run: told.request, endReason, exitCode, signal };
    this.#progress("ended", `${told.request} ended: ${endReason ?? "exited"}${how === "" ? "" : `, ${how}`}`, data);
    this.#tellOnce(told);
    if (this.#live.size === 0) this.#whenNoneLive?.();
  }

  /** Reports its state to the gateway, if connected. The empty streams of an ended run are not read. */
  #tellOnce({ request, run }: RequestedRun): void {
    const once = this.#once;
    if (once?.told(request, run) !== true) return;
    const asked = { run: this.#runs.idOf(request), offset: 0, bytesMax: 1, waitMs: 0, viewer: false, pace: false };
    for (const stream of ["stdout", "stderr"] as const) {
      this.#local.read({ ...asked, stream }).then(
        ({ printed }) => {
          if (printed === 0) once.empty(stream);
        },
        () => once.empty(stream), // its output is no longer kept
      );
    }
  }

  #makeRequests(): GatewayRequests {
    return new GatewayRequests({
      link: this.#link,
      local: this.#local,
      runs: this.#runs,
      mayStart: (request) => {
        this.#once?.mayStart(request);
        this.#starting.add(request);
      },
      onStarted: ({ request }, run) => {
        this.#once?.started(request ?? "");
        this.#tellStarted(request ?? "", run.command);
      },
      onRefused: ({ request, argv }, error) => {
        this.#starting.delete(request ?? "");
        const command = argv.join(" ");
        const data = { run: request, command, code: error.code };
        this.#progress("refused", `${request ?? ""} refused: ${command}: ${error.message}`, data);
      },
      onRead: (request, stream, from, piece) => this.#once?.read(request, stream, from, piece),
    });
  }

  /** The keeper ends all runs and then this front. */
  async #finish(finish: NodeFinish): Promise<void> {
    await this.#dialer.close();
    this.#link.finished(finish);
  }

  #progress(phase: NodeProgress["phase"], text: string, data: NodeProgress["data"]): void {
    const cut = Object.entries(data).map(([key, value]) => [
      key,
      typeof value === "string" ? value.slice(0, 4096) : value,
    ]);
    this.#link.progress({ phase, text: text.slice(0, 4096), data: Object.fromEntries(cut) as NodeProgress["data"] });
  }
}

/** The gateway has the full command on record. */
function brief({ request, run }: RequestedRun): RequestedRun {
  return { request, run: { ...run, command: run.command.slice(0, 256) } };
}

/** At least one frame, so that the gateway also hears of an empty list. */
function inFrames(runs: RequestedRun[]): RequestedRun[][] {
  const frames: RequestedRun[][] = [[]];
  let bytes = 0;
  for (const run of runs) {
    const size = Buffer.byteLength(JSON.stringify(run));
    if (bytes > 0 && bytes + size > runsBytesMax) {
      frames.push([]);
      bytes = 0;
    }
    frames.at(-1)?.push(run);
    bytes += size;
  }
  return frames;
}
