/** A pipe between a simulated process and the code under test: it ends when its other end is closed. */
import { PassThrough, Writable } from "node:stream";

export class Pipe {
  /** Written data, for readers outside the model. */
  readonly output = new PassThrough();
  /** Written from outside, read by programs. */
  readonly input: Writable;
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

  write(text: string): void {
    if (!this.output.writableEnded) this.output.write(text);
  }

  /** The writer outside is gone. */
  cut(): void {
    this.#isEnded = true;
  }

  get isEnded(): boolean {
    return this.#isEnded && this.#text === "";
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
