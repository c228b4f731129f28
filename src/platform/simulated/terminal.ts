/** A terminal of a simulated machine: what is typed is its input, what its programs print is its output. */
import type { Terminal, TerminalSize } from "../types.ts";
import { Pipe } from "./pipe.ts";

/** Characters that wait for a program that does not read, as in a kernel. */
const typedMax = 4096;

export class SimulatedTerminal implements Terminal {
  readonly pipe = new Pipe();
  readonly end: { readonly descriptor: number };
  readonly #onResize: () => void;

  /** `onResize` tells the foreground. */
  constructor(descriptor: number, size: TerminalSize, onResize: () => void) {
    this.end = { descriptor };
    this.#onResize = onResize;
    this.pipe.size = size;
    this.pipe.hold(this);
  }

  get output(): Terminal["output"] {
    return this.pipe.output;
  }

  write(bytes: Uint8Array): number {
    if (this.output.destroyed) return bytes.length;
    const taken = Math.max(0, Math.min(bytes.length, typedMax - this.pipe.waiting));
    if (taken > 0) this.pipe.input.write(Buffer.from(bytes.subarray(0, taken)));
    return taken;
  }

  resize(size: TerminalSize): void {
    this.pipe.size = size;
    this.#onResize();
  }

  release(): void {
    this.pipe.drop(this);
  }

  close(): void {
    this.release();
    this.pipe.cut();
    this.output.destroy();
  }
}
