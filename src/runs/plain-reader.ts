/** Reads a run's output as text, so that no poll returns part of an escape sequence, however its bytes arrived. */
import type { RunView } from "../protocol/run.ts";
import type { Clock } from "../clock.ts";
import { PlainText } from "./text.ts";

/** A piece of output; continue at `nextOffset`. */
export interface OutputPlace {
  run: RunView;
  offset: number;
  nextOffset: number;
  printed: number;
}

export interface OutputPiece extends OutputPlace {
  bytes: Buffer;
}

/** A string (such as a title) without an end after this many bytes is abandoned: the following bytes are text. */
const heldBytesMax = 1024 * 1024;
/** Bytes examined before the tail of an output, for a sequence that continues into it. */
const lookBackBytes = 4096;

export interface PlainOptions {
  /** From the first byte, as an earlier answer's `nextOffset`; negative: this many bytes before the end. */
  offset: number;
  bytesMax: number;
  waitMs: number;
}

type Read = (options: PlainOptions) => Promise<OutputPiece>;

/**
 * `nextOffset` precedes an incomplete character or sequence, so continuing there needs no further state. If the output holds
 * only such a part, it waits as if there were none.
 */
export async function readPlain(
  read: Read,
  options: PlainOptions,
  clock: Clock,
): Promise<OutputPlace & { text: string }> {
  const { bytesMax, waitMs } = options;
  const deadline = clock.monotonic() + waitMs;
  const plain = new PlainText();
  const from = options.offset < 0 ? await approach(read, plain, options.offset) : options.offset;
  let piece = await read({ offset: from, bytesMax, waitMs });
  const begin = piece.offset;
  for (;;) {
    plain.push(piece.bytes);
    const isLast = piece.run.state === "exited" && piece.nextOffset >= piece.printed;
    const isGivenUp = piece.nextOffset - begin > heldBytesMax;
    const { text, takenBytes } = plain.read(isLast || isGivenUp);
    const { run, printed } = piece;
    const place = { run, printed, offset: begin, nextOffset: begin + takenBytes, text };
    if (takenBytes > 0 || isLast) return place;
    const isThereMore = piece.nextOffset < piece.printed;
    const restMs = isThereMore ? 0 : Math.ceil(deadline - clock.monotonic());
    if (!isThereMore && restMs <= 0) return place;
    const next = await read({ offset: piece.nextOffset, bytesMax, waitMs: Math.max(0, restMs) });
    // The part in between was overwritten, including the end of the sequence.
    if (next.offset > piece.nextOffset) return { ...place, run: next.run, nextOffset: next.offset };
    if (next.bytes.length === 0 && next.run.state !== "exited" && clock.monotonic() >= deadline)
      return { ...place, run: next.run };
    piece = next;
  }
}

/** Offset of the tail; `plain` then knows whether a sequence continues there. */
async function approach(read: Read, plain: PlainText, offset: number): Promise<number> {
  const { printed } = await read({ offset: Number.MAX_SAFE_INTEGER, bytesMax: 1, waitMs: 0 });
  const from = Math.max(0, printed + offset);
  const start = Math.max(0, from - lookBackBytes);
  if (start === from) return from;
  const before = await read({ offset: start, bytesMax: from - start, waitMs: 0 });
  if (before.nextOffset !== from) return from; // overwritten
  plain.push(before.bytes);
  plain.forget();
  return from;
}
