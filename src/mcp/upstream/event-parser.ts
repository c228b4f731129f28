/** Reads server-sent events out of chunks of bytes. */

export interface ServerEvent {
  /** `message` where none is named. */
  name: string;
  data: Buffer;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

export class EventParser {
  readonly #bytesMax: number;
  readonly #onEvent: (event: ServerEvent) => void;
  #rest: Buffer = Buffer.alloc(0);
  #name = "";
  #data: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number, onEvent: (event: ServerEvent) => void) {
    this.#bytesMax = bytesMax;
    this.#onEvent = onEvent;
  }

  /** Throws when one event is longer than it may be. */
  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let from = 0;
    for (let at = bytes.indexOf(lineFeed); at !== -1; at = bytes.indexOf(lineFeed, from)) {
      const end = at > from && bytes[at - 1] === carriageReturn ? at - 1 : at;
      this.#line(bytes.subarray(from, end));
      from = at + 1;
    }
    this.#rest = bytes.subarray(from);
    if (this.#rest.length + this.#bytes > this.#bytesMax)
      throw new Error(`an event of more than ${this.#bytesMax} bytes`);
  }

  #line(line: Buffer): void {
    if (line.length === 0) return this.#finish();
    const colon = line.indexOf(0x3a);
    const field = line.toString("latin1", 0, colon === -1 ? line.length : colon);
    const isSpaced = line[colon + 1] === 0x20;
    const value = colon === -1 ? Buffer.alloc(0) : line.subarray(colon + (isSpaced ? 2 : 1));
    if (field === "event") this.#name = value.toString();
    if (field !== "data") return;
    // Between two lines of data stands a line break, which in JSON can only be white space.
    if (this.#data.length > 0) this.#data.push(Buffer.from("\n"));
    this.#data.push(value);
    this.#bytes += value.length + 1;
  }

  #finish(): void {
    const [name, data] = [this.#name === "" ? "message" : this.#name, this.#data];
    this.#name = "";
    this.#data = [];
    this.#bytes = 0;
    if (data.length > 0) this.#onEvent({ name, data: Buffer.concat(data) });
  }
}
