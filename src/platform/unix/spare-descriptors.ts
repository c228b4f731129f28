/**
 * Descriptors held in reserve for when the limit is reached: for the keeper's helpers, and for looks at the kernel, which must
 * not mistake "too many open files" for "missing".
 */
import { closeSync, openSync } from "node:fs";
import type { SpareDescriptors } from "../types.ts";

class HeldDescriptors implements SpareDescriptors {
  #count = 0;
  #held: number[] = [];
  #lending = false;

  /** Holds this many from now on, as far as available. */
  hold(count: number): void {
    this.#count = count;
    this.#fill();
  }

  get held(): number {
    return this.#held.length;
  }

  /** Releases them while `use` runs, then takes back as many as possible. */
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

  /** Result of `look`; on reaching the open file limit, retried with the spare descriptors released. */
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
      // Limit reached: keep what was obtained and retry the rest next time.
    }
  }
}

/** Of this process. */
export const spareDescriptors: SpareDescriptors = new HeldDescriptors();

/** Of this process (EMFILE) or of the whole machine (ENFILE). */
function isOutOfDescriptors(thrown: unknown): boolean {
  const { code } = thrown as NodeJS.ErrnoException;
  return code === "EMFILE" || code === "ENFILE";
}
