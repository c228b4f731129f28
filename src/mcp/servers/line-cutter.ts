/** Splits a stream of chunks into lines. */
import { HoldfastError } from "../../errors.ts";
import { GatheredBytes } from "../../gathered-bytes.ts";

/** Longest line in bytes, as for a local server. */
const lineBytesMax = 64 * 1024 * 1024;

export class LineCutter {
  readonly #begun = new GatheredBytes();

  /** Passes each whole line, without its newline, to `take`. Throws `run_limit` for an oversized one. */
  push(bytes: Buffer, take: (line: Buffer) => void): void {
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      take(this.#whole(bytes.subarray(start, end)));
      start = end + 1;
    }
    if (start === bytes.length) return;
    this.#begun.add(bytes.subarray(start));
    if (this.#begun.length > lineBytesMax)
      throw new HoldfastError("run_limit", `it printed a line of more than ${lineBytesMax} bytes`);
  }

  #whole(last: Buffer): Buffer {
    if (this.#begun.length === 0) return last;
    this.#begun.add(last);
    return this.#begun.take();
  }
}
