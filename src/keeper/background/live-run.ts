/** One live background run: its spec, its output and when it was last used. */
import type { EndReason, RunView } from "../protocol/messages.ts";
import type { BackgroundSpec, BackgroundView, TerminalSize } from "../protocol/background.ts";
import type { Run } from "../run.ts";
import type { OutputRing } from "./output-ring.ts";
import { Pace } from "./pace.ts";
import { TerminalIo, type RunIo } from "./run-io.ts";
import { Watchdog, type WatchdogLimits } from "./watchdog.ts";

/** How often a tree whose command has ended is looked at. */
const emptyLookMs = 1000;
/** Sizes that are remembered, so that a screen can be drawn as it was. */
const sizesMax = 100;

export class LiveRun {
  readonly spec: BackgroundSpec;
  readonly io: RunIo;
  readonly ring: OutputRing;
  readonly keepMs: number;
  readonly sizes: ({ offset: number } & TerminalSize)[] = [];
  growing: string | null = null;
  readonly #over = Promise.withResolvers<RunView>();
  readonly #watchdog: Watchdog;
  /** Of a run in the foreground. */
  readonly #pace: Pace | undefined;
  readonly #startedAt = Date.now();
  #run: Run | undefined;
  #viewers = 0;
  #lastViewedAt: number | null = null;
  #lastInputAt: number | null = null;
  #lastOutputAt: number | null = null;
  #more: PromiseWithResolvers<void> | undefined;
  #emptyLook: NodeJS.Timeout | undefined;
  #lostTimer: NodeJS.Timeout | undefined;

  constructor(spec: BackgroundSpec, made: { io: RunIo; ring: OutputRing; limits: WatchdogLimits; keepMs: number }) {
    this.spec = spec;
    this.io = made.io;
    this.ring = made.ring;
    this.keepMs = made.keepMs;
    const { io, ring } = made;
    if (!spec.background) {
      const printed = () => ring.printed;
      const parts = { behindMax: ring.tailBytes / 2, printed, pause: () => io.pause(), resume: () => io.resume() };
      this.#pace = new Pace(parts);
    }
    if (spec.kind === "pty") this.sizes.push({ offset: 0, ...spec.size });
    this.#watchdog = new Watchdog(
      made.limits,
      () => this.#lastActivityAt(),
      (reason) => this.#end(reason),
    );
  }

  /** Set once, before the run is started. */
  set run(run: Run) {
    this.#run = run;
  }

  get run(): Run {
    if (this.#run === undefined) throw new Error("a live run has its run from the beginning");
    return this.#run;
  }

  /** Resolves when the tree is gone and the row is closed. */
  get over(): Promise<RunView> {
    return this.#over.promise;
  }

  /** What is told of it besides the row. */
  figures(): { background: BackgroundView } {
    const { onFrontLoss } = this.spec;
    const background = {
      outputBytes: this.ring.printed,
      lastOutputAt: this.#lastOutputAt,
      lastInputAt: this.#lastInputAt,
      lastViewedAt: this.#viewers > 0 ? Date.now() : this.#lastViewedAt,
      onFrontLoss,
      keepMs: this.keepMs,
      size: this.io instanceof TerminalIo ? this.io.size : null,
      growing: this.growing,
    };
    return { background };
  }

  changed(view: RunView): void {
    if (view.state === "running") this.#running(view);
    if (view.state === "stopping" || view.state === "exited") this.#disarm();
    if (view.state !== "exited") return;
    this.printedMore();
    this.#over.resolve(view);
  }

  /** Somebody waits for what comes next. */
  printedMore(): void {
    this.#more?.resolve();
    this.#more = undefined;
  }

  noteOutput(): void {
    this.#lastOutputAt = Date.now();
    this.#pace?.printedMore();
    this.printedMore();
  }

  noteInput(): void {
    this.#lastInputAt = Date.now();
  }

  /** Resolves with the next byte, at the end of the run, or after `waitMs`. A viewer counts as use for as long as it waits. */
  async nextOutput(waitMs: number, viewer: boolean): Promise<void> {
    this.#more ??= Promise.withResolvers();
    const { promise } = this.#more;
    if (viewer) this.#viewers += 1;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    try {
      await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
      if (viewer) this.#viewers -= 1;
      if (viewer) this.#lastViewedAt = Date.now();
    }
  }

  /** The one who waits for the run has all before `offset`. */
  readTo(offset: number): void {
    this.#pace?.readTo(offset);
  }

  noteView(): void {
    this.#lastViewedAt = Date.now();
  }

  resized(size: TerminalSize): void {
    this.sizes.push({ offset: this.ring.printed, ...size });
    if (this.sizes.length > sizesMax) this.sizes.shift();
  }

  /** No front any more: the run has `keepMs` until there is one again. */
  frontLost(): void {
    clearTimeout(this.#lostTimer);
    this.#lostTimer = setTimeout(() => this.#end("front-lost"), this.keepMs);
  }

  frontBack(): void {
    clearTimeout(this.#lostTimer);
  }

  #running(view: RunView): void {
    if (view.leaderEndedAt === null) return this.#watchdog.start();
    // The command is gone and left something behind that is kept; the kernel tells nobody when the last of it ends.
    this.#watchdog.commandEnded();
    this.#emptyLook ??= setInterval(() => this.run.reconcile(), emptyLookMs);
  }

  #disarm(): void {
    this.#watchdog[Symbol.dispose]();
    this.#pace?.[Symbol.dispose]();
    clearInterval(this.#emptyLook);
    clearTimeout(this.#lostTimer);
  }

  #end(reason: EndReason): void {
    void this.run.stop(reason); // never rejects
  }

  #lastActivityAt(): number {
    if (this.#viewers > 0) return Date.now();
    return Math.max(this.#startedAt, this.#lastOutputAt ?? 0, this.#lastInputAt ?? 0, this.#lastViewedAt ?? 0);
  }
}
