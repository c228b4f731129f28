/** Reads a run's output as text, so that no poll ever gives a part of an escape sequence, however its bytes came. */
import type { Clock } from "../clock.ts";
import type { RunView } from "../protocol/keeper/messages.ts";
import { PlainText } from "./text.ts";

/** A piece of output; `nextOffset` is where to go on. */
export interface OutputPlace {
  run: RunView;
  offset: number;
  nextOffset: number;
  printed: number;
}

export interface OutputPiece extends OutputPlace {
  bytes: Buffer;
}

/** A string, as a title is, that has no end after so many bytes has none: what comes then is text. */
const heldBytesMax = 1024 * 1024;
/** Before the last bytes of an output so many are looked at for a sequence that goes on into them. */
const lookBackBytes = 4096;

export interface PlainOptions {
  /** From the first byte, as an earlier answer's `nextOffset`; negative: so many bytes before the end. */
  offset: number;
  bytesMax: number;
  waitMs: number;
}

type Read = (options: PlainOptions) => Promise<OutputPiece>;

/**
 * `nextOffset` is before half a character and half a sequence: who goes on there needs to be told nothing else. While there
 * is only such a half one, it waits as if there were nothing.
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
    // What lies between is written over: the end of the sequence with it.
    if (next.offset > piece.nextOffset) return { ...place, run: next.run, nextOffset: next.offset };
    if (next.bytes.length === 0 && next.run.state !== "exited" && clock.monotonic() >= deadline)
      return { ...place, run: next.run };
    piece = next;
  }
}

/** Where the last bytes begin; `plain` then knows whether a sequence goes on there. */
async function approach(read: Read, plain: PlainText, offset: number): Promise<number> {
  const { printed } = await read({ offset: Number.MAX_SAFE_INTEGER, bytesMax: 1, waitMs: 0 });
  const from = Math.max(0, printed + offset);
  const start = Math.max(0, from - lookBackBytes);
  if (start === from) return from;
  const before = await read({ offset: start, bytesMax: from - start, waitMs: 0 });
  if (before.nextOffset !== from) return from; // written over
  plain.push(before.bytes);
  plain.forget();
  return from;
}
