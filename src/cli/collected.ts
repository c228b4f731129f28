/** What a command prints, kept until its end for whoever wants its result as one object. */
import type { OutputStream } from "../protocol/keeper/background.ts";

/** Of each stream, from its end. */
const collectedBytesMax = 1024 * 1024;

export class Collected {
  readonly #streams = { stdout: { kept: Buffer.alloc(0), printed: 0 }, stderr: { kept: Buffer.alloc(0), printed: 0 } };

  add(bytes: Buffer, to: OutputStream): void {
    const stream = this.#streams[to];
    const all = Buffer.concat([stream.kept, bytes]);
    stream.kept = all.subarray(Math.max(0, all.length - collectedBytesMax));
  }

  /** Printed in all, also what was not read in time. */
  counted(printed: number, on: OutputStream): void {
    this.#streams[on].printed = printed;
  }

  /** As `node.invoke` answers it. */
  get result(): { stdout: string; stderr: string; stdoutBytes: number; stderrBytes: number } {
    const { stdout, stderr } = this.#streams;
    return {
      stdout: stdout.kept.toString("utf8"),
      stderr: stderr.kept.toString("utf8"),
      stdoutBytes: stdout.printed,
      stderrBytes: stderr.printed,
    };
  }
}
