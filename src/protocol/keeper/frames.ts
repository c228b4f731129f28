/**
 * The data pipe between keeper and front: frames of `channel u32, length u32, flags u32, request f64`, then the bytes.
 * A channel is one run of this keeper; MCP runs send whole lines (without the newline), long ones in pieces.
 */
import { GatheredBytes } from "../../gathered-bytes.ts";

const headerBytes = 20;
/** Largest piece of a line in one frame, so that one run's long line cannot hold up another's. */
export const pieceBytesMax = 64 * 1024;

export const flags = {
  /** The line goes on in this channel's next frame. */
  more: 1,
  /** The line is a request; the header's id stays open until a frame says `closes`. */
  opens: 2,
  /** The header's id has its answer. The frame may be empty: then it is only the word. */
  closes: 4,
  /** Which side asked: set = the server asked the front. With `opens` the bytes are the id as the server wrote it, no line. */
  fromServer: 8,
  /** Nothing more will come on this channel in this direction: end of stdin, or end of stdout. */
  end: 16,
  /** The line was on its way to a front that died: it may have been dealt with. */
  again: 32,
  /** No line: the front has dealt with so many lines of this channel as the header's number says. */
  heard: 64,
} as const;

export interface Frame {
  channel: number;
  flags: number;
  /** Request id for `opens` and `closes`, else 0. */
  request: number;
  bytes: Buffer;
}

/** Pieces up to this size are copied behind their header: one buffer costs less than two, as long as the copy is small. */
const copiedBytesMax = 4096;

export function encodeHeader(channel: number, length: number, frameFlags: number, request: number, room = 0): Buffer {
  const header = Buffer.allocUnsafe(headerBytes + room);
  header.writeUInt32LE(channel, 0);
  header.writeUInt32LE(length, 4);
  header.writeUInt32LE(frameFlags, 8);
  header.writeDoubleLE(request, 12);
  return header;
}

/** Cuts a byte stream into frames. A frame longer than `pieceBytesMax` throws: the other side is broken. */
export class FrameReader {
  /** Of a frame that is not whole yet; nothing is looked at before there are `#needed` bytes. */
  readonly #begun = new GatheredBytes();
  #needed = headerBytes;
  readonly #onFrame: (frame: Frame) => void;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    this.#begun.add(chunk);
    if (this.#begun.length < this.#needed) return;
    let data = this.#begun.take();
    this.#needed = headerBytes;
    while (data.length >= headerBytes) {
      const length = data.readUInt32LE(4);
      if (length > pieceBytesMax) throw new RangeError(`frame of ${length} bytes, at most ${pieceBytesMax} allowed`);
      const total = headerBytes + length;
      this.#needed = total;
      if (data.length < total) break;
      this.#needed = headerBytes;
      this.#onFrame({
        channel: data.readUInt32LE(0),
        flags: data.readUInt32LE(8),
        request: data.readDoubleLE(12),
        bytes: data.subarray(headerBytes, total),
      });
      data = data.subarray(total);
    }
    this.#begun.add(data);
  }
}

/** Writes one line as one or more frames, behind whole frames that waited for it, with as few writes to the pipe as can be. */
export function writeLine(
  pipe: { write(bytes: Buffer): boolean; cork(): void; uncork(): void },
  channel: number,
  line: Buffer,
  lineFlags = 0,
  request = 0,
  before?: Buffer,
): void {
  if (line.length <= copiedBytesMax) {
    const frame = encodeHeader(channel, line.length, lineFlags, request, line.length);
    line.copy(frame, headerBytes);
    pipe.write(before === undefined || before.length === 0 ? frame : Buffer.concat([before, frame]));
    return;
  }
  pipe.cork();
  if (before !== undefined && before.length > 0) pipe.write(before);
  let at = 0;
  do {
    const piece = line.subarray(at, at + pieceBytesMax);
    at += piece.length;
    const more = at < line.length ? flags.more : 0;
    // The id is told with the last piece only, so that it is open exactly when the line is whole.
    pipe.write(encodeHeader(channel, piece.length, more === 0 ? lineFlags : more, more === 0 ? request : 0));
    if (piece.length > 0) pipe.write(piece);
  } while (at < line.length);
  pipe.uncork();
}
