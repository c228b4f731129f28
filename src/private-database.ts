/** A SQLite file that belongs to one process and is private to its user: opened, checked and given its tables, or refused. */
import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "./clock.ts";
import { HoldfastError } from "./errors.ts";

export interface DatabaseForm {
  /** Creates missing tables; run in one transaction. */
  schema: string;
  /** `user_version` of a file with this schema. */
  form: number;
  /** `off`: data that a power failure may destroy, but never the death of a process. */
  synchronous: "off" | "normal";
}

/** How long to wait for another process's lock, in milliseconds, and how often to try. */
const lockBoundMs = 5000;
const lookEveryMs = 20;

/** Primary result codes of SQLite: https://sqlite.org/rescode.html */
const codes = { busy: 5, locked: 6, corrupt: 11, notADatabase: 26 };

/** The file was written by another version of Holdfast. */
export class OtherFormError extends Error {}

/**
 * Classifies an SQLite error. `broken`: the file's contents are lost. `locked`: another process has it. `other`: a full
 * disk, a missing permission, too many open files; the contents are intact.
 */
export function faultOf(thrown: unknown): "broken" | "locked" | "other" {
  const primary = ((thrown as { errcode?: number }).errcode ?? 0) & 0xff;
  if (primary === codes.corrupt || primary === codes.notADatabase || thrown instanceof BrokenError) return "broken";
  return primary === codes.busy || primary === codes.locked ? "locked" : "other";
}

class BrokenError extends Error {}

/**
 * `:memory:` keeps nothing on disk. Waits for a lock, then throws `state_locked`. Throws `OtherFormError` and SQLite's
 * errors; `faultOf` tells whether the file is broken.
 */
export function openPrivateDatabase(path: string, form: DatabaseForm, waitMs = lockBoundMs): DatabaseSync {
  const deadline = systemClock.monotonic() + waitMs;
  for (;;) {
    try {
      return openOnce(path, form);
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

function openOnce(path: string, { schema, form, synchronous }: DatabaseForm): DatabaseSync {
  if (path !== ":memory:") {
    // Private from the first byte.
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
  }
  const database = new DatabaseSync(path);
  try {
    database.exec(`pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = ${synchronous}`);
    const { user_version: found } = database.prepare("pragma user_version").get() as { user_version: number };
    if (found !== 0 && found !== form) throw new OtherFormError(`form ${found}, expected ${form}`);
    const { quick_check: health } = database.prepare("pragma quick_check(1)").get() as { quick_check: string };
    if (health !== "ok") throw new BrokenError(health);
    database.exec(`begin immediate; ${schema} commit`);
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}
