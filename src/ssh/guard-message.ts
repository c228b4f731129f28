/** Detects the first message of a run's remote guard on stderr and removes it. */
import type { Clock } from "../clock.ts";
import type { Spawned } from "../platform/types.ts";

const word = Buffer.from("holdfast-far up\n");
/** Most bytes that a login may print before it. */
export const noiseBytesMax = 256 * 1024;
/** Time for ssh's last output after its exit, since another process may hold the other end. */
const lastOutputMs = 300;

/** Finds the message in chunks of any size, in linear time, and keeps the text around it. */
class Search {
  readonly #heard = Buffer.alloc(noiseBytesMax);
  #bytes = 0;
  /** The text that does not belong to the message. */
  #others: Buffer = Buffer.alloc(0);

  /** The offset of the message, or undefined. */
  push(chunk: Buffer): number | undefined {
    const from = Math.max(0, this.#bytes - word.length + 1);
    const copied = chunk.copy(this.#heard, this.#bytes);
    this.#bytes += copied;
    this.#others = chunk.subarray(copied);
    const at = this.#heard.subarray(from, this.#bytes).indexOf(word);
    return at < 0 ? undefined : from + at;
  }

  get isFull(): boolean {
    return this.#bytes === this.#heard.length;
  }

  get said(): string {
    return this.#heard.toString("utf8", 0, this.#bytes);
  }

  around(at: number): Buffer {
    const after = this.#heard.subarray(at + word.length, this.#bytes);
    return Buffer.concat([this.#heard.subarray(0, at), after, this.#others]);
  }
}

type Outcome = "stands" | "silent" | "noisy" | "ended";

/**
 * Resolves when the guard is ready, or with "silent" when it is late, "noisy" when too much is printed before it, or when
 * ssh has ended. Other stderr text stays in the stream if the guard is ready, else it is in `said`.
 */
export function awaitGuard(
  { stderr: stream, exit }: Spawned,
  clock: Clock,
  boundMs: number,
): Promise<{ outcome: Outcome; said: string }> {
  const stderr = stream!;
  const search = new Search();
  return new Promise((resolve) => {
    const settle = (outcome: Outcome) => {
      late.clear();
      stderr.off("readable", read);
      stderr.off("close", closed);
      resolve({ outcome, said: search.said });
    };
    const closed = () => settle("ended");
    const read = () => {
      for (let chunk = stderr.read() as Buffer | null; chunk !== null; chunk = stderr.read() as Buffer | null) {
        const at = search.push(chunk);
        if (at !== undefined) {
          const others = search.around(at);
          if (others.length > 0) stderr.unshift(others);
          return settle("stands");
        }
        if (search.isFull) return settle("noisy");
      }
    };
    let late = clock.after(boundMs, () => settle("silent"));
    stderr.on("readable", read);
    stderr.once("close", closed);
    void exit.then(() => {
      late.clear();
      late = clock.after(lastOutputMs, () => settle("ended"));
    });
  });
}
