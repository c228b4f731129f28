/** A SQLite file that belongs to one process and is private to its user: opened, checked and given its tables, or refused. */
import { chmodSync, closeSync, openSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "./clock.ts";
import { HoldfastError } from "./errors.ts";

export interface DatabaseForm {
  /** Creates missing tables; run in one transaction, with `adapt`. */
  schema: string;
  /** Brings a file of an earlier version up to date; it has the tables by then. */
  adapt?: (database: DatabaseSync) => void;
  /** `user_version` of a file with this schema. */
  form: number;
  /** `off`: data that a power failure may destroy, but never the death of a process. */
  synchronous: "off" | "normal";
}

/** Opens the file of a database; a simulation gives another. */
export type OpenDatabase = (path: string) => DatabaseSync;

/** Private to its user from the first byte; `:memory:` keeps nothing on disk. */
export const openDatabaseFile: OpenDatabase = (path) => {
  if (path !== ":memory:") {
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
  }
  return new DatabaseSync(path);
};

export interface OpenOptions {
  /** How long to wait for another process's lock. */
  waitMs?: number | undefined;
  open?: OpenDatabase | undefined;
}

/** How long to wait for another process's lock, in milliseconds, and how often to try. */
const lockBoundMs = 5000;
const lookEveryMs = 20;

/** Primary result codes of SQLite: https://sqlite.org/rescode.html */
const codes = { error: 1, busy: 5, locked: 6, corrupt: 11, notADatabase: 26 };
/** A page ends before its end: the file was cut short. */
const shortRead = 522;

/** The file was written by another version of Holdfast. */
export class OtherFormError extends Error {}

/**
 * Classifies an SQLite error. `broken`: the file's contents are lost. `locked`: another process has it. `other`: a full
 * disk, a missing permission, too many open files; the contents are intact.
 */
export function faultOf(thrown: unknown): "broken" | "locked" | "other" {
  const { errcode = 0 } = thrown as { errcode?: number };
  const primary = errcode & 0xff;
  // Our statements are right for every file of ours, so an error in one is the file's.
  const isBroken = primary === codes.error || primary === codes.corrupt || primary === codes.notADatabase;
  if (isBroken || errcode === shortRead || thrown instanceof BrokenError) return "broken";
  return primary === codes.busy || primary === codes.locked ? "locked" : "other";
}

class BrokenError extends Error {}

/**
 * Waits for a lock, then throws `state_locked`. Throws `OtherFormError` and SQLite's
 * errors; `faultOf` tells whether the file is broken.
 */
export function openPrivateDatabase(
  path: string,
  form: DatabaseForm,
  { waitMs = lockBoundMs, open = openDatabaseFile }: OpenOptions = {},
): DatabaseSync {
  const deadline = systemClock.monotonic() + waitMs;
  for (;;) {
    try {
      return openOnce(path, form, open);
    } catch (cause) {
      if (faultOf(cause) !== "locked") throw cause;
      if (systemClock.monotonic() >= deadline) {
        const remedy = "end the process that has it open (`fuser` names it), and start again; nothing was changed";
        throw new HoldfastError("state_locked", `${path} is locked by another process: ${remedy}`, { cause });
      }
    }
    // Blocks, since this process can do nothing without the file.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lookEveryMs);
  }
}

function openOnce(path: string, { schema, adapt, form, synchronous }: DatabaseForm, open: OpenDatabase): DatabaseSync {
  const database = open(path);
  try {
    database.exec(`pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = ${synchronous}`);
    const { user_version: found } = database.prepare("pragma user_version").get() as { user_version: number };
    if (found !== 0 && found !== form) throw new OtherFormError(`form ${found}, expected ${form}`);
    assertWholePages(database);
    // Whole, not quick: an index that misses a row would start a command twice. 12 ms for 4,000 rows.
    const { integrity_check: health } = database.prepare("pragma integrity_check(1)").get() as {
      integrity_check: string;
    };
    if (health !== "ok") throw new BrokenError(`damaged: ${health.trim().replaceAll("\n", ", ")}`);
    database.exec("begin immediate");
    // A file that has its form is not written to, so that it can be read on a full disk.
    if (found !== form) database.exec(`${schema} pragma user_version = ${form};`);
    adapt?.(database);
    database.exec("commit");
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** Of a page cut short SQLite reads the rest as zeros, finds that in order, and fails at the first use. */
function assertWholePages(database: DatabaseSync): void {
  const path = database.location();
  if (path === null) return; // in memory
  const { page_size: pageBytes } = database.prepare("pragma page_size").get() as { page_size: number };
  const isWhole = () => statSync(path).size % pageBytes === 0;
  if (isWhole()) return;
  // A crash while the log was being copied into the file: the log still has the page.
  database.exec("pragma wal_checkpoint(truncate)");
  if (!isWhole()) throw new BrokenError("cut short in the middle of a page");
}
