/** Run rows refused by a full disk: visible to readers at once, and written as soon as there is room. */
import type { Clock, Timer } from "../clock.ts";
import type { LedgerRow, RowChange } from "./ledger-row.ts";
import { say } from "./log.ts";

/** Retry interval. */
const retryMs = 1000;

/** If the keeper dies first, its successor learns from the kernel what lives; the rest of such a row is `keeper-lost`. */
export class OwedRows {
  readonly #clock: Clock;
  readonly #write: (id: string, change: RowChange) => void;
  /** By run, oldest first. */
  readonly #owed = new Map<string, RowChange>();
  readonly #others: (() => void)[] = [];
  #retry: Timer | undefined;

  /** `write` throws the disk's error. */
  constructor(clock: Clock, write: (id: string, change: RowChange) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  put(id: string, change: RowChange): void {
    this.#owed.set(id, { ...this.#owed.get(id), ...change });
    this.#pay();
  }

  /** The row including its pending changes. */
  upToDate<R extends LedgerRow | undefined>(row: R): R {
    const owed = row === undefined ? undefined : this.#owed.get(row.id);
    return owed === undefined ? row : { ...row, ...owed };
  }

  /** The same for a write outside the rows of runs, after all pending writes. */
  do(write: () => void): void {
    this.#others.push(write);
    this.#pay();
  }

  /** One last attempt. */
  close(): void {
    this.#pay();
    this.#retry?.clear();
  }

  #pay(): void {
    try {
      for (const [id, change] of this.#owed) {
        this.#write(id, change);
        this.#owed.delete(id);
      }
      for (let next = this.#others[0]; next !== undefined; next = this.#others[0]) {
        next();
        this.#others.shift();
      }
    } catch (thrown) {
      if (this.#retry === undefined)
        say(`the ledger cannot be written (${String(thrown)}); what runs goes on, and is written once there is room`);
      else this.#retry.clear();
      this.#retry = this.#clock.after(retryMs, () => this.#pay());
      return;
    }
    this.#retry?.clear();
    this.#retry = undefined;
  }
}
