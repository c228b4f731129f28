/** Run rows refused by a full disk: visible to readers at once, and written as soon as there is room. */
import type { Clock } from "../clock.ts";
import { OwedWrites } from "../owed-writes.ts";
import type { LedgerRow, RowChange } from "./ledger-row.ts";
import { say } from "./log.ts";

/** If the keeper dies first, its successor learns from the kernel what lives; the rest of such a row is `keeper-lost`. */
export class OwedRows {
  readonly #write: (id: string, change: RowChange) => void;
  readonly #changes = new Map<string, RowChange>();
  readonly #writes: OwedWrites;

  /** `write` throws the disk's error. */
  constructor(clock: Clock, write: (id: string, change: RowChange) => void) {
    this.#write = write;
    this.#writes = new OwedWrites(clock, (thrown) =>
      say(`the ledger cannot be written (${String(thrown)}); what runs goes on, and is written once there is room`),
    );
  }

  put(id: string, change: RowChange): void {
    const owed = { ...this.#changes.get(id), ...change };
    this.#changes.set(id, owed);
    this.#writes.do(`row ${id}`, () => {
      this.#write(id, owed);
      this.#changes.delete(id);
    });
  }

  /** The row including its pending changes. */
  upToDate<R extends LedgerRow | undefined>(row: R): R {
    const owed = row === undefined ? undefined : this.#changes.get(row.id);
    return owed === undefined ? row : { ...row, ...owed };
  }

  /** The same for a write outside the rows; an owed one with its key is replaced. */
  do(key: string, write: () => void): void {
    this.#writes.do(key, write);
  }

  /** One last attempt. */
  close(): void {
    this.#writes.close();
  }
}
