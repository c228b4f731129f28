/** One stream of a run's output: what was printed, who waits for more, and, in the foreground, the reader that sets the pace. */
import { inTime, type Clock } from "../../clock.ts";
import { readBytesMax, type OutputEnd } from "../../protocol/keeper/background.ts";
import { OutputRing } from "./output-ring.ts";
import { Pace } from "./pace.ts";

/** Stops taking from the stream, so that the run waits with its next byte; and goes on. */
export interface Tap {
  pause(): void;
  resume(): void;
}

export class RunOutput {
  readonly ring: OutputRing;
  readonly #clock: Clock;
  /** When something was printed last, in milliseconds since the epoch. */
  lastAt: number | null = null;
  /** The same on the monotonic clock; 0 = nothing yet. */
  lastActivityAt = 0;
  #pace: Pace | undefined;
  #more: PromiseWithResolvers<void> | undefined;

  constructor(path: string, boundBytes: number, clock: Clock) {
    this.#clock = clock;
    this.ring = OutputRing.create(path, boundBytes, clock);
  }

  /** From now on nothing is written over that the reader in the foreground has not read. */
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

  /** The one who waits for the run has all before `offset`. */
  readTo(offset: number): void {
    this.#pace?.readTo(offset);
  }

  /** Resolves with the next byte, at the end of the run, or after `waitMs`. */
  async next(waitMs: number): Promise<void> {
    this.#more ??= Promise.withResolvers();
    const { promise } = this.#more;
    await inTime(this.#clock, promise, waitMs, undefined);
  }

  /** Whoever waits looks again. */
  wake(): void {
    this.#more?.resolve();
    this.#more = undefined;
  }

  /** The run is over. */
  close(): void {
    this.ring.close();
    this.wake();
  }

  /** The end of the run has begun: nobody is waited for any more. */
  stopPacing(): void {
    this.#pace?.[Symbol.dispose]();
  }
}

/** As it is told: at most `bytesMax` from `offset` on; a negative one counts from the end. No ring: nothing was printed. */
export function pieceOf(ring: OutputRing | undefined, offset: number, bytesMax: number): OutputEnd {
  if (ring === undefined) return { offset: 0, bytes: "", printed: 0 };
  const from = offset < 0 ? Math.max(0, ring.printed + offset) : offset;
  const { bytes, ...place } = ring.read(from, Math.min(bytesMax, readBytesMax));
  return { ...place, bytes: bytes.toString("base64") };
}
