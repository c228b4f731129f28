/** A SQLite file of one process, which nobody else may read: opened, checked and given its tables, or refused whole. */
import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

export interface DatabaseForm {
  /** Statements that make what is not there yet; run in one transaction. */
  schema: string;
  /** `user_version` of a file that the schema made. */
  form: number;
  /** `off`: for what a machine's sudden end may take; a process's own never does. */
  synchronous: "off" | "normal";
}

/** `:memory:` for none on disk. Throws for a file that is another form's, or broken. */
export function openPrivateDatabase(path: string, { schema, form, synchronous }: DatabaseForm): DatabaseSync {
  if (path !== ":memory:") {
    // Private from its first byte on.
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
  }
  const database = new DatabaseSync(path);
  try {
    database.exec(`pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = ${synchronous}`);
    const { user_version: found } = database.prepare("pragma user_version").get() as { user_version: number };
    if (found !== 0 && found !== form) throw new Error(`form ${found}, expected ${form}`);
    const { quick_check: health } = database.prepare("pragma quick_check(1)").get() as { quick_check: string };
    if (health !== "ok") throw new Error(health);
    database.exec(`begin immediate; ${schema} commit`);
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}
