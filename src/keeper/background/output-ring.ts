/**
 * What one run printed, on disk and bounded: the first bytes and the last ones are kept, what lies between is written over.
 * A byte's offset is its place in all that was ever printed, so a reader that comes back later goes on where it was.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import type { Clock, Timer } from "../../clock.ts";

/** magic u32, bytes of the head u32, bytes of the tail u32, unused u32, then f64 each: bytes printed, begin and end of the gap. */
const headerBytes = 40;
const magic = 0x3246_4f48;
const printedAt = 16;

export interface OutputPiece {
  /** Offset of the first byte given; larger than asked when what was asked for is written over. */
  offset: number;
  bytes: Buffer;
  /** Bytes printed by the run so far. */
  printed: number;
}

/** What the disk did not take, `from` up to `to`; all between two such pieces counts as one. Empty: nothing. */
interface Gap {
  from: number;
  to: number;
}

/** Where in the file an offset is, and how many bytes from there on lie together. */
interface Place {
  at: number;
  bytes: number;
}

export class OutputRing {
  readonly headBytes: number;
  readonly tailBytes: number;
  readonly #path: string;
  /** Of the writer. */
  readonly #clock: Clock | undefined;
  #descriptor: number | undefined;
  #printed: number;
  readonly #gap: Gap;
  #noting: Timer | undefined;

  /** A fresh one; the file is made with the first byte. `boundBytes` is what is kept: half from the beginning. */
  static create(path: string, boundBytes: number, clock: Clock): OutputRing {
    const headBytes = Math.floor(boundBytes / 2);
    return new OutputRing(
      path,
      { headBytes, tailBytes: boundBytes - headBytes, printed: 0, gap: { from: 0, to: 0 }, descriptor: undefined },
      clock,
    );
  }

  /** That of an ended run, to read; undefined when it printed nothing or its file is gone. */
  static open(path: string): OutputRing | undefined {
    let descriptor: number;
    try {
      descriptor = openSync(path, "r");
    } catch {
      return undefined; // never written, or removed
    }
    const header = Buffer.alloc(headerBytes);
    const isOurs = readSync(descriptor, header, 0, headerBytes, 0) === headerBytes && header.readUInt32LE(0) === magic;
    if (!isOurs) {
      closeSync(descriptor);
      return undefined;
    }
    const geometry = { headBytes: header.readUInt32LE(4), tailBytes: header.readUInt32LE(8) };
    const [printed = 0, from = 0, to = 0] = [0, 8, 16].map((at) => header.readDoubleLE(printedAt + at));
    return new OutputRing(path, { ...geometry, printed, gap: { from, to }, descriptor });
  }

  private constructor(
    path: string,
    made: { headBytes: number; tailBytes: number; printed: number; gap: Gap; descriptor: number | undefined },
    clock?: Clock,
  ) {
    this.#path = path;
    this.#clock = clock;
    this.headBytes = made.headBytes;
    this.tailBytes = made.tailBytes;
    this.#printed = made.printed;
    this.#gap = made.gap;
    this.#descriptor = made.descriptor;
  }

  get printed(): number {
    return this.#printed;
  }

  /** First offset that is still there after the head; equal to the head's end as long as nothing was written over. */
  get tailFrom(): number {
    return Math.max(this.headBytes, this.#printed - this.tailBytes);
  }

  /** Never throws for the disk's sake: what a full one does not take is lost, and a reader is sent on behind it. */
  write(chunk: Buffer): void {
    if (this.#clock === undefined) throw new Error("this output is for reading");
    let done = 0;
    try {
      const descriptor = this.#openToWrite();
      while (done < chunk.length) {
        const { at, bytes } = this.#place(this.#printed + done);
        const count = Math.min(bytes, chunk.length - done);
        // Where the disk is full in the middle it takes a part, and says so only to the next one.
        done += writeSync(descriptor, chunk, done, count, at);
      }
    } catch {
      if (this.#gap.to === 0) this.#gap.from = this.#printed + done;
      this.#gap.to = this.#printed + chunk.length;
    }
    this.#printed += chunk.length;
    // After the bytes: a keeper that dies in between has printed less, never something else. Once for a burst of them.
    this.#noting ??= this.#clock.soon(() => this.#notePrinted());
  }

  read(offset: number, bytesMax: number): OutputPiece {
    const from = this.#behindWhatIsLost(Math.min(offset, this.#printed));
    const isInHead = from < this.headBytes;
    const whole = isInHead ? Math.min(this.headBytes, this.#printed) : this.#printed;
    const end = from < this.#gap.from ? Math.min(whole, this.#gap.from) : whole;
    const bytes = Buffer.alloc(Math.max(0, Math.min(bytesMax, end - from)));
    let done = 0;
    while (this.#descriptor !== undefined && done < bytes.length) {
      const place = this.#place(from + done);
      const read = readSync(this.#descriptor, bytes, done, Math.min(place.bytes, bytes.length - done), place.at);
      if (read === 0) break; // the file was cut short by somebody else
      done += read;
    }
    return { offset: from, bytes: bytes.subarray(0, done), printed: this.#printed };
  }

  /** Bytes on disk. */
  get storedBytes(): number {
    return this.#descriptor === undefined ? 0 : fstatSync(this.#descriptor).size;
  }

  close(): void {
    if (this.#noting !== undefined) this.#notePrinted();
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  /** The first offset from there on that is neither written over nor was lost. */
  #behindWhatIsLost(offset: number): number {
    const kept = (from: number) => (from >= this.headBytes && from < this.tailFrom ? this.tailFrom : from);
    const from = kept(offset);
    return from >= this.#gap.from && from < this.#gap.to ? kept(this.#gap.to) : from;
  }

  #notePrinted(): void {
    this.#noting?.clear();
    this.#noting = undefined;
    if (this.#descriptor === undefined) return;
    const figures = Buffer.alloc(headerBytes - printedAt);
    for (const [index, figure] of [this.#printed, this.#gap.from, this.#gap.to].entries())
      figures.writeDoubleLE(figure, index * 8);
    try {
      writeSync(this.#descriptor, figures, 0, figures.length, printedAt);
    } catch {
      // A disk that is broken: the file says that less was printed.
    }
  }

  #place(offset: number): Place {
    if (offset < this.headBytes) return { at: headerBytes + offset, bytes: this.headBytes - offset };
    const inTail = (offset - this.headBytes) % this.tailBytes;
    return { at: headerBytes + this.headBytes + inTail, bytes: this.tailBytes - inTail };
  }

  #openToWrite(): number {
    if (this.#descriptor !== undefined) return this.#descriptor;
    // "wx+": a run's output is written by one keeper once; a file that is there already is not ours to change.
    const descriptor = openSync(this.#path, "wx+", 0o600);
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32LE(magic, 0);
    header.writeUInt32LE(this.headBytes, 4);
    header.writeUInt32LE(this.tailBytes, 8);
    try {
      if (writeSync(descriptor, header, 0, headerBytes, 0) < headerBytes) throw new Error("the disk is full");
    } catch (thrown) {
      closeSync(descriptor);
      rmSync(this.#path, { force: true });
      throw thrown;
    }
    this.#descriptor = descriptor;
    return descriptor;
  }
}
