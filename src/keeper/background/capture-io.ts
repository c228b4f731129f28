/** A background run's input and output: output goes to ring buffers, input waits in a bounded queue. */
import type { BackgroundView, TerminalSize } from "../../protocol/run.ts";
import { specLimits, type BackgroundSpec, type OutputStream } from "../../protocol/background.ts";
import type { Clock } from "../../clock.ts";
import type { Config } from "../../config/schema.ts";
import type { Spawned, SpawnRequest } from "../../platform/types.ts";
import { HoldfastError } from "../../errors.ts";
import type { RunIo } from "../run-parts.ts";
import { RunOutput, type Tap } from "./output.ts";

/** Bytes of input that may be queued for a run. */
const inputBytesMax = 1024 * 1024;
/** Time for the last bytes once the tree is gone; another process may hold the other end. */
const drainBoundMs = 1000;
/**
 * A foreground run keeps this much at least: half of its tail for what a reader is behind, the other half for what is under way
 * when the run is paused or ends, which is a full pipe and what Node has read of it.
 */
const pacedBytesMin = 1024 * 1024;
/** A foreground reader silent for this long is gone; a remote reader may be away for the run's lease. */
const readerBoundMs = 5000;

export interface CaptureParts {
  clock: Clock;
  stdout: RunOutput;
  /** Null: stderr is merged into stdout in order of arrival. */
  stderr: RunOutput | null;
  /** Tells every process of the run that its terminal is gone. */
  hangUp: () => void;
}

/** `fileOf`: the file of a stream. */
export function captureParts(
  spec: BackgroundSpec,
  clock: Clock,
  { outputBytesMax }: Config["exec"],
  fileOf: (stream: OutputStream) => string,
  hangUp: () => void,
): CaptureParts {
  const boundBytes = spec.background ? outputBytesMax : Math.max(outputBytesMax, pacedBytesMin);
  const output = (stream: OutputStream) => new RunOutput(fileOf(stream), boundBytes, clock);
  return { clock, stdout: output("stdout"), stderr: spec.streams === "apart" ? output("stderr") : null, hangUp };
}

export abstract class CaptureIo implements RunIo {
  abstract readonly hasInput: boolean;
  /** Terminal sizes since the start, each with the offset from which it applied. */
  readonly sizes: ({ offset: number } & TerminalSize)[] = [];
  protected readonly parts: CaptureParts;
  /** Bytes of input accepted so far. */
  #inputBytes = 0;
  #viewers = 0;
  /** Of the start, input or a read, on the monotonic clock, so that wall clock jumps do not count as silence. */
  #activeAt: number;
  #lastViewedAt: number | null = null;
  #lastInputAt: number | null = null;

  constructor(parts: CaptureParts) {
    this.parts = parts;
    this.#activeAt = parts.clock.monotonic();
  }

  abstract request(): Pick<SpawnRequest, "stdin" | "terminal">;
  abstract begin(contained: Spawned): void;
  abstract endInput(): void;
  /** Current size of the terminal; null without one. */
  abstract get size(): TerminalSize | null;
  /** Throws `invalid_params` and changes nothing. */
  abstract resize(size: TerminalSize): void;
  /** The source of that stream; stdout is both where they are merged. */
  protected abstract tap(of: OutputStream): Tap;
  /** Throws `run_ended` once the run accepts no input, `input_full`. */
  protected abstract send(bytes: Buffer): void;
  /** Resolves with the last byte. */
  protected abstract get ended(): Promise<void>;

  output(stream: OutputStream): RunOutput | null {
    return this.parts[stream];
  }

  /** A foreground run never overwrites unread output. `leaseMs`: of the run. */
  pace(leaseMs: number): void {
    const boundMs = Math.max(readerBoundMs, leaseMs);
    for (const stream of ["stdout", "stderr"] as const) this.parts[stream]?.paceBy(this.tap(stream), boundMs);
  }

  /** The run is ending: output no longer waits for a reader. */
  stopPacing(): void {
    for (const output of this.#streams) output.stopPacing();
  }

  /**
   * `at`: offset of the first byte in the whole input; null = append. Bytes accepted earlier are dropped. Returns the total
   * accepted. Throws `input_full`, `input_gap`, `run_ended`, with nothing accepted.
   */
  write(bytes: Buffer, at: number | null): number {
    const from = at ?? this.#inputBytes;
    if (from > this.#inputBytes) {
      const message = `the run has taken ${this.#inputBytes} bytes of input; what begins at ${from} would leave a gap`;
      throw new HoldfastError("input_gap", message);
    }
    const data = bytes.subarray(this.#inputBytes - from);
    if (data.length > specLimits.inputBytesMax)
      throw new HoldfastError("invalid_params", `at most ${specLimits.inputBytesMax} bytes are taken at once`);
    this.#lastInputAt = this.parts.clock.now();
    this.#activeAt = this.parts.clock.monotonic();
    if (data.length > 0) this.send(data);
    this.#inputBytes += data.length;
    return this.#inputBytes;
  }

  /** Resolves with the next byte, at the end of the run, or after `waitMs`. A waiting viewer counts as activity. */
  async nextOutput(output: RunOutput, waitMs: number, viewer: boolean): Promise<void> {
    if (viewer) this.#viewers += 1;
    try {
      await output.next(waitMs);
    } finally {
      if (viewer) this.#viewers -= 1;
      if (viewer) this.noteView();
    }
  }

  noteView(): void {
    this.#lastViewedAt = this.parts.clock.now();
    this.#activeAt = this.parts.clock.monotonic();
  }

  /** On the monotonic clock. */
  get lastActivityAt(): number {
    if (this.#viewers > 0) return Number.POSITIVE_INFINITY;
    return Math.max(this.#activeAt, ...this.#streams.map(({ lastActivityAt }) => lastActivityAt));
  }

  view(): Pick<BackgroundView, "outputBytes" | "lastOutputAt" | "lastInputAt" | "lastViewedAt" | "size"> {
    const times = this.#streams.flatMap(({ lastAt }) => (lastAt === null ? [] : [lastAt]));
    return {
      outputBytes: this.#streams.reduce((sum, { ring }) => sum + ring.printed, 0),
      lastOutputAt: times.length === 0 ? null : Math.max(...times),
      lastInputAt: this.#lastInputAt,
      lastViewedAt: this.#viewers > 0 ? this.parts.clock.now() : this.#lastViewedAt,
      size: this.size,
    };
  }

  /** Bounded, in case another process still holds the other end. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      const late = this.parts.clock.after(drainBoundMs, resolve);
      void this.ended.then(() => {
        late.clear();
        resolve();
      });
    });
  }

  /** Wakes every reader that waits for output. */
  close(): void {
    for (const output of this.#streams) output.close();
  }

  protected mustHaveRoom(waitingBytes: number, bytes: Buffer): void {
    if (waitingBytes + bytes.length <= inputBytesMax) return;
    const message = `the run does not read: ${inputBytesMax} bytes wait for it already; try again`;
    throw new HoldfastError("input_full", message);
  }

  get #streams(): RunOutput[] {
    const { stdout, stderr } = this.parts;
    return stderr === null ? [stdout] : [stdout, stderr];
  }
}
