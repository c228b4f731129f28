/** One stream of a run's output: its bytes, its waiting readers and, in the foreground, the reader that sets the pace. */
import { readBytesMax, type OutputEnd } from "../../protocol/background.ts";
import { inTime, type Clock } from "../../clock.ts";
import { OutputRing } from "./output-ring.ts";
import { Pace } from "./pace.ts";

/** Pauses the stream, so that the run blocks at its next write, and resumes it. */
export interface Tap {
  pause(): void;
  resume(): void;
}

export class RunOutput {
  readonly ring: OutputRing;
  readonly #clock: Clock;
  /** Time of the last output, in milliseconds since the epoch. */
  lastAt: number | null = null;
  /** The same on the monotonic clock; 0 = no output yet. */
  lastActivityAt = 0;
  #pace: Pace | undefined;
  #more: PromiseWithResolvers<void> | undefined;

  constructor(path: string, boundBytes: number, clock: Clock) {
    this.#clock = clock;
    this.ring = OutputRing.create(path, boundBytes, clock);
  }

  /** From now on output unread by the foreground reader is never overwritten. */
  paceBy(tap: Tap, readerBoundMs: number): void {
    const { ring } = this;
    this.#pace = new Pace({
      clock: this.#clock,
      behindMax: ring.tailBytes / 2,
      readerBoundMs,
      printed: () => ring.printed,
      pause: () => tap.pause(),
      resume: () => tap.resume(),
    });
  }

  write(chunk: Buffer): void {
    this.ring.write(chunk);
    this.lastAt = this.#clock.now();
    this.lastActivityAt = this.#clock.monotonic();
    this.#pace?.printedMore();
    this.wake();
  }

  /** The foreground reader has everything before `offset`. */
  readTo(offset: number): void {
    this.#pace?.readTo(offset);
  }

  /** Resolves with the next byte, at the end of the run, or after `waitMs`. */
  async next(waitMs: number): Promise<void> {
    this.#more ??= Promise.withResolvers();
    const { promise } = this.#more;
    await inTime(this.#clock, promise, waitMs, undefined);
  }

  /** Wakes every waiting reader. */
  wake(): void {
    this.#more?.resolve();
    this.#more = undefined;
  }

  close(): void {
    this.ring.close();
    this.wake();
  }

  /** The run is ending: output no longer waits for a reader. */
  stopPacing(): void {
    this.#pace?.[Symbol.dispose]();
  }
}

/** A piece as the API returns it: at most `bytesMax` from `offset` on, negative = from the end. No ring: no output. */
export function pieceOf(ring: OutputRing | undefined, offset: number, bytesMax: number): OutputEnd {
  if (ring === undefined) return { offset: 0, bytes: "", printed: 0 };
  const from = offset < 0 ? Math.max(0, ring.printed + offset) : offset;
  const { bytes, ...place } = ring.read(from, Math.min(bytesMax, readBytesMax));
  return { ...place, bytes: bytes.toString("base64") };
}
