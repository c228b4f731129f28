/** A pipe between a simulated process and the code under test: it ends when its other end is closed. */
import { PassThrough, Writable } from "node:stream";
import type { TerminalSize } from "../types.ts";

/** As of a Linux pipe. */
const heldBytesMax = 65_536;

export class Pipe {
  /** Written data, for readers outside the model. */
  readonly output = new PassThrough();
  /** Written from outside, read by programs. */
  readonly input: Writable;
  /** Of a terminal. */
  size: TerminalSize | undefined;
  readonly #holders = new Set<object>();
  #text = "";
  #isEnded = false;

  constructor() {
    this.input = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#text += chunk.toString();
        done();
      },
      final: (done) => {
        this.#isEnded = true;
        done();
      },
    });
  }

  hold(process: object): void {
    this.#holders.add(process);
  }

  drop(process: object): void {
    this.#holders.delete(process);
    if (this.#holders.size === 0) this.output.end();
  }

  write(text: string | Uint8Array): void {
    if (!this.output.writableEnded) this.output.write(text);
  }

  /** Whether a program that writes has to wait for the reader, as with a kernel's buffer. */
  get isFull(): boolean {
    return this.output.writableLength + this.output.readableLength >= heldBytesMax;
  }

  /** The writer outside is gone. */
  cut(): void {
    this.#isEnded = true;
  }

  get isEnded(): boolean {
    return this.#isEnded && this.#text === "";
  }

  /** Characters written and not read. */
  get waiting(): number {
    return this.#text.length;
  }

  /** Everything that has been written. */
  takeAll(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  get hasLine(): boolean {
    return this.#text.includes("\n");
  }

  /** One complete line without its terminator, if available. */
  takeLine(): string | undefined {
    const at = this.#text.indexOf("\n");
    if (at === -1) return undefined;
    const line = this.#text.slice(0, at);
    this.#text = this.#text.slice(at + 1);
    return line;
  }
}
