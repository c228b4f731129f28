/** Keeps one front alive: forks it without rights, listens to it, and restarts it when it dies. */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { CrashView } from "../protocol/keeper/status.ts";
import type { Clock, Timer } from "../clock.ts";
import { stateLetters, type FrontLink, type Platform, type ProcessState } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import { StreamTail, type CrashRecords } from "./crashes.ts";
import { baseEnvironment } from "../platform/environment.ts";
import { FrontWatch } from "./front-watch.ts";
import type { FrontVoice } from "./front-voice.ts";
import type { RestartIntensity } from "./intensity.ts";
import type { Log } from "./log.ts";
import { CreditMeter, SendWindow } from "../protocol/keeper/flow.ts";
import { FrameReader, type Frame } from "../protocol/keeper/frames.ts";
import { dataDescriptor } from "../protocol/keeper/channel.ts";
import type { KeeperMessage } from "../protocol/keeper/messages.ts";
import type { FrontPort } from "./relay.ts";
import { Supervised, Supervisor, type Helper, type HelperEnd } from "./supervisor.ts";

export interface FrontParts {
  clock: Clock;
  platform: Platform;
  frontDirectory: string;
  crashes: CrashRecords;
  log: Log;
  voice: FrontVoice;
  intensity: RestartIntensity;
  /** Time for a front to drain before it is killed. */
  drainBoundMs: number;
  /** The program of the front; by default the gateway's. */
  entry?: string | undefined;
  /** Silence after which a front is stuck, in milliseconds; 0 = it never is. */
  stuckMs: number;
  /** Time that a gateway continues without a serving front, in milliseconds. */
  keepMs: number;
  onStart: (front: FrontProcess) => void;
  onMessage: (message: unknown, front: FrontProcess) => void;
  onFrame: (frame: Frame) => void;
  /** The front is gone; undefined when this keeper ended it, or when it could not be started. */
  onEnd: (crash: CrashView | undefined) => Promise<void>;
  onGivenUp: (error: HoldfastError) => void;
}

/** One life of the front. */
export interface FrontProcess {
  pid: number;
  epoch: number;
  port: FrontPort;
  /** It has exited: whatever still arrives was sent earlier. */
  gone: boolean;
  tell(message: KeeperMessage): void;
}

/** One life of a front and its own state. */
interface FrontLife extends Helper {
  readonly link: FrontLink;
  readonly front: FrontProcess | undefined;
  readonly stderr: StreamTail;
  watch: FrontWatch | undefined;
  /** Why this keeper killed a stuck front. */
  stuck: string | null;
}

export class FrontSupervisor extends Supervised<FrontLife> {
  readonly #parts: FrontParts;
  protected readonly supervisor: Supervisor<FrontLife>;
  /** The most recently started front. */
  #life: FrontLife | undefined;
  /** The crashed front to replace: its record, and the start of the outage. */
  #lost: { crash: CrashView; at: number } | undefined;
  /** Runs during an outage, from the first front's end on. */
  #keeping: Timer | undefined;
  /** Resolves when everything tied to ended fronts has ended. */
  #settled: Promise<void> = Promise.resolve();
  #epoch = 0;
  lastMethod: string | null = null;

  constructor(parts: FrontParts) {
    super();
    this.#parts = parts;
    this.supervisor = new Supervisor<FrontLife>({
      spawn: (onEnd) => this.#spawn(onEnd),
      clock: parts.clock,
      drainBoundMs: parts.drainBoundMs,
      intensity: parts.intensity,
      onStart: (life) => this.#started(life),
      onEnd: (end, planned) => this.#ended(end, planned),
      onGivenUp: () => this.#givenUp("the front died too often; see `holdfast status` and the crashes directory"),
    });
  }

  start(): void {
    this.supervisor.start();
  }

  /** The front serves: completes the record of its crashed predecessor. */
  serves(): void {
    this.supervisor.serves();
    this.#keeping?.clear();
    this.#keeping = undefined;
    if (this.#lost === undefined) return;
    const { crash, at } = this.#lost;
    this.#lost = undefined;
    const downMs = Math.round(this.#parts.clock.monotonic() - at);
    this.#parts.crashes.recovered(crash, downMs);
    this.#parts.log.warn({ event: "front.restarted", pid: this.pid, restarts: this.restarts, downMs });
  }

  /** Largest lag of this process's own loop since the last call, in milliseconds. */
  takeLagMs(): number {
    const watch = this.#life?.watch;
    const lagMs = watch?.lagMs ?? 0;
    if (watch !== undefined) watch.lagMs = 0;
    return lagMs;
  }

  /** Replaces the front. Resolves when the new one serves, or a stop came first. Concurrent requests join. */
  restart(): Promise<void> {
    return this.supervisor.restart("restart");
  }

  /** Ends the front permanently. Resolves when the front and everything tied to it are gone. */
  async close(): Promise<void> {
    this.#keeping?.clear();
    await this.supervisor.close("shutdown");
    await this.#settled;
  }

  tell(message: KeeperMessage): void {
    this.#life?.link.send(message);
  }

  #spawn(onEnd: (end: HelperEnd) => void): FrontLife {
    const gateway = new URL(`../gateway/main${extname(import.meta.url)}`, import.meta.url);
    const link = this.#parts.platform.forkFront({
      entry: this.#parts.entry ?? fileURLToPath(gateway),
      directory: this.#parts.frontDirectory,
      env: baseEnvironment(),
      dataDescriptor,
    });
    const { pid } = link;
    this.#epoch += 1;
    this.lastMethod = null;
    void link.exit.then(({ code, signal, refused }) => onEnd({ exitCode: code, signal, refused })); // never rejects
    return {
      pid,
      link,
      front: pid === 0 ? undefined : this.#wire(link),
      stderr: new StreamTail(),
      watch: undefined,
      stuck: null,
      drain: (reason) => {
        this.#life?.watch?.[Symbol.dispose]();
        link.send({ type: "drain", reason } satisfies KeeperMessage);
      },
      kill: () => link.signal("kill"),
    };
  }

  #started(life: FrontLife): void {
    this.#life = life;
    const { link, stderr, front } = life;
    for (const stream of [link.stdout, link.stderr]) {
      const voice = this.#parts.voice.listen(life.pid);
      stream?.on("data", voice.hear).once("end", voice.end);
    }
    link.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    life.watch = this.#watchOver(life);
    if (front !== undefined) this.#parts.onStart(front);
  }

  #watchOver(life: FrontLife): FrontWatch {
    const { link, pid } = life;
    const onStuck = (silentMs: number, sign: ProcessState) => {
      const state = stateLetters[sign];
      life.stuck = `no sign for ${(silentMs / 1000).toFixed(1)} s (state ${state})`;
      this.#parts.log.error({ event: "front.stuck", pid, silentMs, state, lastMethod: this.lastMethod });
      life.kill();
    };
    const { clock, stuckMs, platform } = this.#parts;
    const watch = new FrontWatch({ clock, stuckMs, look: () => platform.processes.read(pid), onStuck });
    link.onMessage(() => watch.heard());
    watch.start();
    return watch;
  }

  #wire(link: FrontLink): FrontProcess {
    const { data: pipe } = link;
    const reader = new FrameReader((frame) => this.#parts.onFrame(frame));
    pipe.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#parts.log.error({ event: "front.refused", what: "frame", error: String(error) });
        link.signal("kill");
      }
    });
    const meter = new CreditMeter((channel, bytes) =>
      link.send({ type: "credit", channel, bytes } satisfies KeeperMessage),
    );
    const front: FrontProcess = {
      pid: link.pid,
      epoch: this.#epoch,
      port: { pipe, window: new SendWindow(), meter },
      gone: false,
      tell: (message) => link.send(message),
    };
    void link.exit.then(() => {
      front.gone = true;
      // Partial messages from a crashed front are discarded: its requests no longer have a recipient for the answers.
      pipe.destroy();
    }); // never rejects
    link.onMessage((message) => this.#parts.onMessage(message, front));
    return front;
  }

  #ended(end: HelperEnd, planned: boolean): void {
    if (end.refused !== null) {
      this.#parts.log.error({ event: "front.error", error: end.refused });
      this.#beginKeeping();
      return;
    }
    const life = this.#life;
    life?.watch?.[Symbol.dispose]();
    const view = planned || life === undefined ? undefined : this.#recordCrash(life, end);
    this.#beginKeeping();
    // The replacement starts in parallel.
    this.#settled = Promise.all([this.#settled, this.#parts.onEnd(view)]).then(() => {});
  }

  #recordCrash({ pid, stuck, stderr }: FrontLife, { exitCode, signal }: HelperEnd): CrashView {
    const why = stuck === null ? ("died" as const) : ("stuck" as const);
    const { lastMethod } = this;
    const crash = { who: "front" as const, pid, why, detail: stuck, exitCode, signal, lastMethod };
    const view = this.#parts.crashes.record(crash, stderr.text());
    // If fronts die before they serve, the outage begins with the first of them.
    this.#lost = { crash: view, at: this.#lost?.at ?? this.#parts.clock.monotonic() };
    return view;
  }

  #beginKeeping(): void {
    if (this.supervisor.isClosed) return;
    const { clock, keepMs } = this.#parts;
    const message = `no front served within limits.keepMs = ${keepMs}; see \`holdfast crashes\` and the gateway's log`;
    this.#keeping ??= clock.after(keepMs, () => this.#givenUp(message));
  }

  #givenUp(message: string): void {
    this.#parts.onGivenUp(new HoldfastError("internal", message));
  }
}
