/** The databases of a simulated machine: they outlive their processes, and every write to them can be a moment of a fault. */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { HoldfastError } from "../../src/errors.ts";
import type { Process } from "../../src/platform/simulated/process.ts";

interface Held {
  readonly database: DatabaseSync;
  /** By their text: to prepare one takes longer than to run it. */
  readonly statements: Map<string, StatementSync>;
  holder: Process | undefined;
}

/** Called around each write of a process; it may end the process. */
export type OnWrite = (moment: "before" | "after", owner: Process, sql: string) => void;

const reads = /^\s*(?:select|pragma)\b/i;
/** Takes a lock and no room. */
const begins = /^\s*begin\b/i;

export class Disk {
  readonly #files = new Map<string, Held>();
  onWrite: OnWrite = () => {};
  /** While set, writes are refused, as on a full disk. */
  isFull = false;
  /** Whether a write was ever refused for that. */
  wasFull = false;
  /** Of all processes so far. */
  writes = 0;

  /** Opens a file for one process, exclusively. A write after its end has no effect. */
  open(path: string, owner: Process): DatabaseSync {
    const held = this.#files.get(path) ?? makeFile();
    this.#files.set(path, held);
    // At once what comes after a wait for the lock: that wait blocks, so on simulated time nothing would change meanwhile.
    if (held.holder?.isAlive === true) throw new HoldfastError("state_locked", `${path} is locked by another process`);
    held.holder = owner;
    // What a dead process had begun is undone.
    if (held.database.isTransaction) held.database.exec("rollback");
    return this.#face(held, owner);
  }

  /** What a file holds now, by the end of its path: for the watch over what must hold. */
  rows(name: string, sql: string, ...values: string[]): Record<string, unknown>[] {
    const path = [...this.#files.keys()].find((each) => each.endsWith(name));
    const held = this.#files.get(path ?? "");
    return held === undefined ? [] : prepared(held, sql).all(...values);
  }

  close(): void {
    for (const { database } of this.#files.values()) database.close();
  }

  #face(held: Held, owner: Process): DatabaseSync {
    const { database } = held;
    const write = <T>(sql: string, action: () => T, nothing: T): T => {
      if (!owner.isAlive) return nothing;
      this.onWrite("before", owner, sql);
      if (!owner.isAlive) return nothing;
      const isRefused = this.isFull && !begins.test(sql);
      this.wasFull ||= isRefused;
      if (isRefused) throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
      const result = action();
      this.writes += 1;
      this.onWrite("after", owner, sql);
      return result;
    };
    const face = {
      location: () => null,
      get isTransaction() {
        return database.isTransaction;
      },
      exec(sql: string): void {
        if (reads.test(sql)) database.exec(sql);
        else write(sql, () => database.exec(sql), undefined);
      },
      prepare: (sql: string): StatementSync => {
        const statement = prepared(held, sql);
        if (reads.test(sql)) return statement;
        const run = (...values: Parameters<StatementSync["run"]>) =>
          write(sql, () => statement.run(...values), { changes: 0, lastInsertRowid: 0 });
        return { run } as StatementSync;
      },
      close(): void {
        if (held.holder === owner) held.holder = undefined;
      },
    };
    return face as DatabaseSync;
  }
}

function makeFile(): Held {
  return { database: new DatabaseSync(":memory:"), statements: new Map(), holder: undefined };
}

function prepared({ database, statements }: Held, sql: string): StatementSync {
  const statement = statements.get(sql) ?? database.prepare(sql);
  statements.set(sql, statement);
  return statement;
}
