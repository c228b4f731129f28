/** Parses server-sent events from chunks of bytes, in linear time for any chunk boundaries. */
import { GatheredBytes } from "../../gathered-bytes.ts";

export interface ServerEvent {
  /** `message` by default. */
  name: string;
  data: Buffer;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const colon = 0x3a;
const space = 0x20;
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);
const dataField = Buffer.from("data");
const eventField = Buffer.from("event");
/** Longer event names are cut: none has a meaning here. */
const nameBytesMax = 256;
/** Lines of data per event: a pretty-printed message of many megabytes has as many. */
const linesMax = 1_000_000;
/** A byte loop finds a break this near faster. */
const nearBytes = 32;

export class EventParser {
  readonly #bytesMax: number;
  readonly #onEvent: (event: ServerEvent) => void;
  /** Of an incomplete line. */
  readonly #begun = new GatheredBytes();
  readonly #data = new GatheredBytes();
  /** Data lines of the current event. */
  #lines = 0;
  #name = "";
  #isFirstLine = true;
  /** The last chunk ended between the two bytes of a line break. */
  #isAfterReturn = false;

  /** `bytesMax`: of one event, and of one line. */
  constructor(bytesMax: number, onEvent: (event: ServerEvent) => void) {
    this.#bytesMax = bytesMax;
    this.#onEvent = onEvent;
  }

  /** Throws when an event exceeds its bytes or lines. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    let from = this.#isAfterReturn && chunk[0] === lineFeed ? 1 : 0;
    this.#isAfterReturn = false;
    const breaks = new LineBreaks(chunk);
    for (let end = breaks.next(from); end !== -1; end = breaks.next(from)) {
      this.#endLine(chunk, from, end);
      from = end + 1;
      if (chunk[end] !== carriageReturn) continue;
      if (from === chunk.length) this.#isAfterReturn = true;
      else if (chunk[from] === lineFeed) from++;
    }
    this.#begun.add(chunk.subarray(from));
    this.#check();
  }

  #check(): void {
    if (this.#begun.length + this.#data.length > this.#bytesMax)
      throw new Error(`an event of more than ${this.#bytesMax} bytes`);
    if (this.#lines > linesMax) throw new Error(`an event of more than ${linesMax} lines`);
  }

  #endLine(chunk: Buffer, start: number, end: number): void {
    if (this.#begun.length === 0 && !this.#isFirstLine) return this.#take(chunk, start, end);
    this.#begun.add(chunk.subarray(start, end));
    const line = this.#begun.take();
    const isMarked = this.#isFirstLine && line.subarray(0, 3).equals(byteOrderMark);
    this.#isFirstLine = false;
    this.#take(line, isMarked ? 3 : 0, line.length);
  }

  /** One whole line; empty ones allocate nothing. */
  #take(bytes: Buffer, start: number, end: number): void {
    if (start === end) return this.#finish();
    if (isField(bytes, start, end, dataField)) {
      // Data lines are joined by line breaks, which in JSON can only be white space.
      if (this.#lines++ > 0) this.#data.addByte(lineFeed);
      const from = valueStart(bytes, start + dataField.length, end);
      if (from < end) this.#data.add(bytes.subarray(from, end));
      this.#check();
    } else if (isField(bytes, start, end, eventField)) {
      const from = valueStart(bytes, start + eventField.length, end);
      this.#name = bytes.toString("utf8", from, Math.min(end, from + nameBytesMax));
    }
  }

  #finish(): void {
    const name = this.#name === "" ? "message" : this.#name;
    const data = this.#data.take();
    this.#name = "";
    this.#lines = 0;
    if (data.length > 0) this.#onEvent({ name, data });
  }
}

/** `data: …` and `data` alone, not `database: …`. */
function isField(bytes: Buffer, start: number, end: number, name: Buffer): boolean {
  const after = start + name.length;
  if (after > end || (after < end && bytes[after] !== colon)) return false;
  for (let at = 0; at < name.length; at++) if (bytes[start + at] !== name[at]) return false;
  return true;
}

/** After the colon and one space. */
function valueStart(bytes: Buffer, colonAt: number, end: number): number {
  const at = Math.min(colonAt + 1, end);
  return at < end && bytes[at] === space ? at + 1 : at;
}

/** The line breaks of one chunk. */
class LineBreaks {
  readonly #chunk: Buffer;
  /** Each is searched again only once it was passed, so a chunk without it is scanned once. */
  #feed = -2;
  #carriage = -2;

  constructor(chunk: Buffer) {
    this.#chunk = chunk;
  }

  /** The first line break at or after `from`, or -1. */
  next(from: number): number {
    const chunk = this.#chunk;
    const near = Math.min(from + nearBytes, chunk.length);
    for (let at = from; at < near; at++) if (chunk[at] === lineFeed || chunk[at] === carriageReturn) return at;
    this.#feed = this.#find(lineFeed, this.#feed, near);
    this.#carriage = this.#find(carriageReturn, this.#carriage, near);
    if (this.#feed === -1) return this.#carriage;
    return this.#carriage === -1 ? this.#feed : Math.min(this.#feed, this.#carriage);
  }

  #find(byte: number, known: number, from: number): number {
    return known === -1 || known >= from ? known : this.#chunk.indexOf(byte, from);
  }
}
