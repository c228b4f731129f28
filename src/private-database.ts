/** A SQLite file of one process, which nobody else may read: opened, checked and given its tables, or refused whole. */
import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "./clock.ts";
import { HoldfastError } from "./errors.ts";

export interface DatabaseForm {
  /** Statements that make what is not there yet; run in one transaction. */
  schema: string;
  /** `user_version` of a file that the schema made. */
  form: number;
  /** `off`: for what a machine's sudden end may take; a process's own never does. */
  synchronous: "off" | "normal";
}

/** How long another process's lock is waited for, in milliseconds, and how often it is tried. */
const lockBoundMs = 5000;
const lookEveryMs = 20;

/** Result codes of SQLite, the primary ones: https://sqlite.org/rescode.html */
const codes = { busy: 5, locked: 6, corrupt: 11, notADatabase: 26 };

/** It holds what another version of Holdfast wrote. */
export class OtherFormError extends Error {}

/**
 * What an error of SQLite says about its file. `broken`: its contents are lost. `locked`: another process has it. `other`: a
 * full disk, a missing right, too many open files; the contents are as they were.
 */
export function faultOf(thrown: unknown): "broken" | "locked" | "other" {
  const primary = ((thrown as { errcode?: number }).errcode ?? 0) & 0xff;
  if (primary === codes.corrupt || primary === codes.notADatabase || thrown instanceof BrokenError) return "broken";
  return primary === codes.busy || primary === codes.locked ? "locked" : "other";
}

class BrokenError extends Error {}

/**
 * `:memory:` for none on disk. Waits for a lock, then throws `state_locked`. Throws `OtherFormError`, and what SQLite says;
 * `faultOf` tells whether the file is broken.
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
    // Nothing else is to happen in this process before it has the file.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lookEveryMs);
  }
}

function openOnce(path: string, { schema, form, synchronous }: DatabaseForm): DatabaseSync {
  if (path !== ":memory:") {
    // Private from its first byte on.
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
