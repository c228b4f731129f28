/** The first word of a run's guard on the far side. It comes on stderr, and goes no further. */
import type { Clock } from "../clock.ts";
import type { Spawned } from "../platform/types.ts";

const word = Buffer.from("holdfast-far up\n");
/** What a login may say before it. */
export const noiseBytesMax = 256 * 1024;
/** After its exit, time for the last words of ssh; somebody else may hold the other end. */
const lastWordsMs = 300;

/** Finds the word in pieces of any size, in linear time, and keeps what comes before and after it. */
class Search {
  readonly #heard = Buffer.alloc(noiseBytesMax);
  #bytes = 0;
  /** What did not fit. */
  #others: Buffer = Buffer.alloc(0);

  /** Where the word begins, or undefined. */
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
 * Resolves when the guard stands, or with "silent" when it does not within the bound, "noisy" when too much is said before,
 * or when ssh has ended. What else was said on stderr stays in the stream when the guard stands, and is in `said` when not.
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
      late = clock.after(lastWordsMs, () => settle("ended"));
    });
  });
}
