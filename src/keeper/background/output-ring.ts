/**
 * What one run printed, on disk and bounded: the first bytes and the last ones are kept, what lies between is written over.
 * A byte's offset is its place in all that was ever printed, so a reader that comes back later goes on where it was.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";

/** magic u32, bytes of the head u32, bytes of the tail u32, unused u32, bytes printed f64. */
const headerBytes = 24;
const magic = 0x3146_4f48;
const printedAt = 16;

export interface OutputPiece {
  /** Offset of the first byte given; larger than asked when what was asked for is written over. */
  offset: number;
  bytes: Buffer;
  /** Bytes printed by the run so far. */
  printed: number;
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
  readonly #isWriter: boolean;
  #descriptor: number | undefined;
  #printed: number;
  #noting: NodeJS.Immediate | undefined;

  /** A fresh one; the file is made with the first byte. `boundBytes` is what is kept: half from the beginning. */
  static create(path: string, boundBytes: number): OutputRing {
    const headBytes = Math.floor(boundBytes / 2);
    return new OutputRing(
      path,
      { headBytes, tailBytes: boundBytes - headBytes, printed: 0, descriptor: undefined },
      true,
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
    return new OutputRing(path, { ...geometry, printed: header.readDoubleLE(printedAt), descriptor }, false);
  }

  private constructor(
    path: string,
    made: { headBytes: number; tailBytes: number; printed: number; descriptor: number | undefined },
    isWriter: boolean,
  ) {
    this.#path = path;
    this.#isWriter = isWriter;
    this.headBytes = made.headBytes;
    this.tailBytes = made.tailBytes;
    this.#printed = made.printed;
    this.#descriptor = made.descriptor;
  }

  get printed(): number {
    return this.#printed;
  }

  /** First offset that is still there after the head; equal to the head's end as long as nothing was written over. */
  get tailFrom(): number {
    return Math.max(this.headBytes, this.#printed - this.tailBytes);
  }

  write(chunk: Buffer): void {
    if (!this.#isWriter) throw new Error("this output is for reading");
    const descriptor = this.#openToWrite();
    let done = 0;
    while (done < chunk.length) {
      const { at, bytes } = this.#place(this.#printed + done);
      const count = Math.min(bytes, chunk.length - done);
      writeSync(descriptor, chunk, done, count, at);
      done += count;
    }
    this.#printed += chunk.length;
    // After the bytes: a keeper that dies in between has printed less, never something else. Once for a burst of them.
    this.#noting ??= setImmediate(() => this.#notePrinted());
  }

  read(offset: number, bytesMax: number): OutputPiece {
    let from = Math.min(offset, this.#printed);
    if (from >= this.headBytes && from < this.tailFrom) from = this.tailFrom;
    const end = from < this.headBytes ? Math.min(this.headBytes, this.#printed) : this.#printed;
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

  #notePrinted(): void {
    clearImmediate(this.#noting);
    this.#noting = undefined;
    const printed = Buffer.alloc(8);
    printed.writeDoubleLE(this.#printed);
    if (this.#descriptor !== undefined) writeSync(this.#descriptor, printed, 0, 8, printedAt);
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
    writeSync(descriptor, header, 0, headerBytes, 0);
    this.#descriptor = descriptor;
    return descriptor;
  }
}
