/**
 * The output of one run, on disk and bounded: the first and the last bytes are kept, the middle is overwritten. A byte's offset
 * is its position in the whole output, so a returning reader continues where it stopped.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import type { Clock, Timer } from "../../clock.ts";

/** magic u32, bytes of the head u32, bytes of the tail u32, unused u32, then f64 each: bytes printed, begin and end of the gap. */
const headerBytes = 40;
const magic = 0x3246_4f48;
const printedAt = 16;

export interface OutputPiece {
  /** Offset of the first byte returned; larger than requested when that part was overwritten. */
  offset: number;
  bytes: Buffer;
  /** Bytes printed so far. */
  printed: number;
}

/** Bytes that the disk refused, `from` up to `to`; two such pieces and everything between them count as one. Empty: none. */
interface Gap {
  from: number;
  to: number;
}

/** An offset's position in the file, and the number of contiguous bytes from there. */
interface Place {
  at: number;
  bytes: number;
}

export class OutputRing {
  readonly headBytes: number;
  readonly tailBytes: number;
  readonly #path: string;
  readonly #clock: Clock | undefined;
  #descriptor: number | undefined;
  #printed: number;
  readonly #gap: Gap;
  #noting: Timer | undefined;

  /** A new ring; the file is created with the first byte. `boundBytes`: the amount kept, half of it from the beginning. */
  static create(path: string, boundBytes: number, clock: Clock): OutputRing {
    const headBytes = Math.floor(boundBytes / 2);
    return new OutputRing(
      path,
      { headBytes, tailBytes: boundBytes - headBytes, printed: 0, gap: { from: 0, to: 0 }, descriptor: undefined },
      clock,
    );
  }

  /** The ring of an ended run, for reading; undefined without output or without its file. */
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
    const areCounts = [printed, from, to].every((count) => Number.isSafeInteger(count) && count >= 0);
    if (geometry.tailBytes === 0 || !areCounts || from > to || to > printed) {
      closeSync(descriptor);
      return undefined; // damaged
    }
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

  /** First offset available after the head; equal to the head's end until something is overwritten. */
  get tailFrom(): number {
    return Math.max(this.headBytes, this.#printed - this.tailBytes);
  }

  /** Never throws for disk errors: bytes refused by a full disk are lost, and readers skip them. */
  write(chunk: Buffer): void {
    if (this.#clock === undefined) throw new Error("this output is for reading");
    let done = 0;
    try {
      const descriptor = this.#openToWrite();
      while (done < chunk.length) {
        const { at, bytes } = this.#place(this.#printed + done);
        const count = Math.min(bytes, chunk.length - done);
        // A full disk may accept a part of a write; only the next write fails.
        done += writeSync(descriptor, chunk, done, count, at);
      }
    } catch {
      if (this.#gap.to === 0) this.#gap.from = this.#printed + done;
      this.#gap.to = this.#printed + chunk.length;
    }
    this.#printed += chunk.length;
    // After the bytes: a keeper that dies in between records less output, never wrong output. Once per burst.
    this.#noting ??= this.#clock.soon(() => this.#notePrinted());
  }

  read(offset: number, bytesMax: number): OutputPiece {
    const from = this.#behindWhatIsCut(this.#behindWhatIsLost(Math.min(offset, this.#printed)));
    const isInHead = from < this.headBytes;
    const whole = isInHead ? Math.min(this.headBytes, this.#printed) : this.#printed;
    const end = from < this.#gap.from ? Math.min(whole, this.#gap.from) : whole;
    const bytes = Buffer.alloc(Math.max(0, Math.min(bytesMax, end - from)));
    let done = 0;
    while (this.#descriptor !== undefined && done < bytes.length) {
      const place = this.#place(from + done);
      const read = readSync(this.#descriptor, bytes, done, Math.min(place.bytes, bytes.length - done), place.at);
      if (read === 0) break; // the file ends here: the next read skips the rest
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

  /** The first available offset from there on. */
  #behindWhatIsLost(offset: number): number {
    const kept = (from: number) => (from >= this.headBytes && from < this.tailFrom ? this.tailFrom : from);
    const from = kept(offset);
    return from >= this.#gap.from && from < this.#gap.to ? kept(this.#gap.to) : from;
  }

  /** The first offset from there on whose byte is in a file that a crash or another process cut short. */
  #behindWhatIsCut(offset: number): number {
    const size = this.storedBytes;
    let from = offset;
    while (from < this.#printed) {
      const { at, bytes } = this.#place(from);
      if (at < size) return from;
      from = this.#behindWhatIsLost(Math.min(from + bytes, this.#printed));
    }
    return from;
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
      // Broken disk: the file reports less output.
    }
  }

  #place(offset: number): Place {
    if (offset < this.headBytes) return { at: headerBytes + offset, bytes: this.headBytes - offset };
    const inTail = (offset - this.headBytes) % this.tailBytes;
    return { at: headerBytes + this.headBytes + inTail, bytes: this.tailBytes - inTail };
  }

  #openToWrite(): number {
    if (this.#descriptor !== undefined) return this.#descriptor;
    // "wx+": one keeper writes a run's output once; an existing file belongs to something else.
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
