/** A background run's input and output: what it prints goes to its rings, what is sent to it waits in a bounded queue. */
import type { Clock } from "../../clock.ts";
import type { Config } from "../../config/schema.ts";
import type { Spawned, SpawnRequest } from "../../platform/types.ts";
import { HoldfastError } from "../../errors.ts";
import {
  specLimits,
  type BackgroundSpec,
  type BackgroundView,
  type OutputStream,
  type TerminalSize,
} from "../../protocol/keeper/background.ts";
import type { RunIo } from "../run-parts.ts";
import { RunOutput, type Tap } from "./output.ts";

/** Bytes that may wait for a run to read its input. */
const inputBytesMax = 1024 * 1024;
/** Time for the last bytes to come out once the tree is gone; another process may hold the other end. */
const drainBoundMs = 1000;
/** A reader in the foreground that is silent for so long is gone; a remote one may be away for the run's lease. */
const readerBoundMs = 5000;

export interface CaptureParts {
  clock: Clock;
  stdout: RunOutput;
  /** Null: what comes there goes to stdout, in the order in which it comes. */
  stderr: RunOutput | null;
  /** Tells every process of the run that its terminal is gone. */
  hangUp: () => void;
}

/** `fileOf`: where a stream is kept. */
export function captureParts(
  spec: BackgroundSpec,
  clock: Clock,
  { outputBytesMax }: Config["exec"],
  fileOf: (stream: OutputStream) => string,
  hangUp: () => void,
): CaptureParts {
  const output = (stream: OutputStream) => new RunOutput(fileOf(stream), outputBytesMax, clock);
  return { clock, stdout: output("stdout"), stderr: spec.streams === "apart" ? output("stderr") : null, hangUp };
}

export abstract class CaptureIo implements RunIo {
  abstract readonly hasInput: boolean;
  /** Sizes of the terminal since its start, with the offset from which each held. */
  readonly sizes: ({ offset: number } & TerminalSize)[] = [];
  protected readonly parts: CaptureParts;
  /** Bytes of input that were taken so far. */
  #inputBytes = 0;
  #viewers = 0;
  /** Of a start, input or a look, on the monotonic clock: a wall clock that jumps is no silence. */
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
  /** Present size of the terminal; null without one. */
  abstract get size(): TerminalSize | null;
  /** Throws `invalid_params` with nothing changed. */
  abstract resize(size: TerminalSize): void;
  /** What fills that stream; stdout is both where they are merged. */
  protected abstract tap(of: OutputStream): Tap;
  /** Throws `run_ended` when nothing can be sent any more, `input_full`. */
  protected abstract send(bytes: Buffer): void;
  /** Resolves when the last byte has come. */
  protected abstract get ended(): Promise<void>;

  output(stream: OutputStream): RunOutput | null {
    return this.parts[stream];
  }

  /** In the foreground nothing is written over that the reader has not read. `leaseMs`: of the run. */
  pace(leaseMs: number): void {
    const boundMs = Math.max(readerBoundMs, leaseMs);
    for (const stream of ["stdout", "stderr"] as const) this.parts[stream]?.paceBy(this.tap(stream), boundMs);
  }

  /** The end of the run has begun: nobody is waited for any more. */
  stopPacing(): void {
    for (const output of this.#streams) output.stopPacing();
  }

  /**
   * `at`: where in all the input the first byte is, null = behind what was taken; what was taken before is dropped. Answers
   * with all that was taken. Throws `input_full`, `input_gap`, `run_ended`; then nothing of it was taken.
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

  /** Resolves with the next byte, at the end of the run, or after `waitMs`. A viewer counts as use for as long as it waits. */
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

  /** Also when another process still holds the other end. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      const late = this.parts.clock.after(drainBoundMs, resolve);
      void this.ended.then(() => {
        late.clear();
        resolve();
      });
    });
  }

  /** Whoever waits for output looks again. */
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
