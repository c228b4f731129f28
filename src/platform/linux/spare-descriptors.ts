/**
 * Descriptors that are held open so that some can be had when the limit is reached: for the helpers of the keeper, and for a
 * look at the kernel, which must not take "too many open files" for "nothing is there".
 */
import { closeSync, openSync } from "node:fs";

class SpareDescriptors implements Disposable {
  #count = 0;
  #held: number[] = [];
  #lending = false;

  /** Holds so many from now on, as far as they can be had. */
  hold(count: number): void {
    this.#count = count;
    this.#fill();
  }

  get held(): number {
    return this.#held.length;
  }

  /** Gives them free for as long as `use` runs, and takes as many back as can be had then. */
  lend<T>(use: () => T): T {
    if (this.#lending) return use();
    this.#lending = true;
    this.#release();
    try {
      return use();
    } finally {
      this.#lending = false;
      this.#fill();
    }
  }

  /** What `look` gives; when the limit of open files is in its way, with the spare ones. */
  look<T>(look: () => T): T {
    try {
      return look();
    } catch (thrown) {
      if (!isOutOfDescriptors(thrown) || this.#held.length === 0) throw thrown;
      return this.lend(look);
    }
  }

  [Symbol.dispose](): void {
    this.#count = 0;
    this.#release();
  }

  #release(): void {
    for (const descriptor of this.#held.splice(0)) closeSync(descriptor);
  }

  #fill(): void {
    try {
      while (this.#held.length < this.#count) this.#held.push(openSync("/dev/null", "r"));
    } catch {
      // The limit is reached: what was got is held, the rest is tried for the next time.
    }
  }
}

/** Of this process. */
export const spareDescriptors = new SpareDescriptors();

/** Of this process (EMFILE) or of the whole machine (ENFILE). */
function isOutOfDescriptors(thrown: unknown): boolean {
  const { code } = thrown as NodeJS.ErrnoException;
  return code === "EMFILE" || code === "ENFILE";
}
