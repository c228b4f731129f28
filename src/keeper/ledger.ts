/**
 * The durable record of runs: one SQLite file, opened exclusively for the keeper's life. The kernel releases the lock when the
 * keeper dies, so it also keeps a second gateway off the same state directory.
 */
import { createHash } from "node:crypto";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { requestMemoryMs } from "../protocol/background.ts";
import type { Clock } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import {
  faultOf,
  openDatabaseFile,
  openPrivateDatabase,
  OtherFormError,
  type OpenDatabase,
} from "../private-database.ts";
import { boundTo, insertRow, selectRows, unchanged, updateRow, type LedgerRow } from "./ledger-row.ts";
import { say } from "./log.ts";
import { OwedRows } from "./owed-rows.ts";

/** Raised when an earlier version could not work with the file. Older files have 0. */
const form = 1;

/** Ended runs kept for `ps --all`. */
const historyMax = 1000;

/** A keeper life without an end in the ledger. */
export interface LostEpoch {
  epoch: number;
  pid: number;
  bootId: string;
  startedAt: number;
}

/** Lives without an end that are still unrecorded, oldest first. */
const selectLostEpochs = `select epoch, pid, boot_id as bootId, started_at as startedAt from epochs
  where ended_at is null and epoch not in (select epoch from lost_epochs) order by epoch`;

const schema = `
create table if not exists epochs (
  epoch integer primary key, boot_id text not null, pid integer not null, start_time text not null,
  started_at integer not null, ended_at integer
) strict;
create table if not exists runs (
  id text primary key, kind text not null, server text, session_id text, scope_key text, host text not null,
  command text not null, command_hash text not null, cwd text, pid integer, start_time text, boot_id text not null,
  process_group integer, container text not null, marker text not null, policy text not null, state text not null,
  started_at integer not null, leader_ended_at integer, ended_at integer, end_reason text, exit_code integer,
  signal text, epoch integer not null, request_id text, forgotten integer not null default 0, survivors text
) strict;
create index if not exists runs_open on runs (state) where state <> 'exited';
create table if not exists lost_epochs (epoch integer primary key, noticed_at integer not null) strict;
`;

/** Columns missing from older ledgers. */
const laterColumns = ["request_id text", "forgotten integer not null default 0", "survivors text"];

const indexes = `
create unique index if not exists runs_request on runs (request_id) where request_id is not null;
create index if not exists runs_kept on runs (ended_at) where state = 'exited' and kind <> 'mcp' and forgotten = 0;
create index if not exists runs_forgotten on runs (ended_at) where forgotten = 1;
`;

export class Ledger {
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #owed: OwedRows;
  readonly #byRequest: StatementSync;
  readonly #memoryMs: number;

  /** `memoryMs`: how long a request id outlives its run. Throws `state_locked` (another gateway), `state_unusable`. */
  constructor(path: string, clock: Clock, memoryMs = requestMemoryMs, open = openDatabaseFile) {
    this.#memoryMs = memoryMs;
    this.#database = openExclusively(path, open);
    this.#insert = this.#database.prepare(insertRow);
    this.#update = this.#database.prepare(updateRow);
    this.#owed = new OwedRows(clock, (id, change) => void this.#update.run({ ...unchanged, ...change, id }));
    this.#byRequest = this.#database.prepare(`${selectRows} where request_id = ?`);
  }

  /** 0 = none so far. */
  lastEpoch(): number {
    const row = this.#database.prepare("select coalesce(max(epoch), 0) as last from epochs").get();
    return Number(row?.["last"]);
  }

  /** Begins a keeper life and returns its number, which is above `above`. */
  beginEpoch(bootId: string, pid: number, startTime: string, now: number, above = 0): number {
    const sql = "insert into epochs (epoch, boot_id, pid, start_time, started_at) values (?, ?, ?, ?, ?)";
    const epoch = Math.max(above, this.lastEpoch()) + 1;
    try {
      this.#database.prepare(sql).run(epoch, bootId, pid, startTime, now);
      return epoch;
    } catch (cause) {
      const message = `the ledger cannot be written (${String(cause)}); see that the state directory has room and can be written`;
      throw new HoldfastError("state_unusable", message, { cause });
    }
  }

  /** Never throws: on a full disk the write is deferred, like those of runs. */
  endEpoch(epoch: number, now: number): void {
    const sql = "update epochs set ended_at = ? where epoch = ?";
    this.#owed.do(`end ${epoch}`, () => void this.#database.prepare(sql).run(now, epoch));
  }

  /** Earlier lives without an end and without a record, plus the current one. */
  lostEpochs(): LostEpoch[] {
    return this.#database.prepare(selectLostEpochs).all() as unknown as LostEpoch[];
  }

  noticeLost(epoch: number, now: number): void {
    const sql = "insert or ignore into lost_epochs (epoch, noticed_at) values (?, ?)";
    this.#owed.do(`lost ${epoch}`, () => void this.#database.prepare(sql).run(epoch, now));
  }

  /** Writes the row of a future run, before any spawn. Throws `state_unusable`. */
  intend(row: LedgerRow): void {
    const hash = createHash("sha256").update(row.command).digest("hex");
    try {
      this.#insert.run(boundTo(row, hash));
    } catch (cause) {
      const remedy = "nothing was started; see that the state directory has room and can be written";
      const message = `the run cannot be put on record (${String(cause)}); ${remedy}`;
      throw new HoldfastError("state_unusable", message, { cause });
    }
  }

  spawned(id: string, pid: number, startTime: string, processGroup: number): void {
    this.#owed.put(id, { pid, startTime, processGroup });
  }

  changed(row: Pick<LedgerRow, "id" | "state" | "endReason" | "leaderEndedAt" | "survivors">): void {
    const { id, state, endReason, leaderEndedAt, survivors } = row;
    this.#owed.put(id, { state, endReason, leaderEndedAt, survivors });
  }

  ended(row: Pick<LedgerRow, "id" | "endedAt" | "leaderEndedAt" | "endReason" | "exitCode" | "signal">): void {
    const { id, endedAt, leaderEndedAt, endReason, exitCode, signal } = row;
    this.#owed.put(id, { state: "exited", endedAt, leaderEndedAt, endReason, exitCode, signal });
  }

  /** Open rows of earlier epochs. */
  open(): LedgerRow[] {
    return this.#database.prepare(`${selectRows} where state <> 'exited'`).all() as unknown as LedgerRow[];
  }

  /** Ended runs, newest first. */
  history(count: number): LedgerRow[] {
    const sql = `${selectRows} where state = 'exited' and forgotten = 0 order by started_at desc limit ?`;
    return this.#database.prepare(sql).all(count) as unknown as LedgerRow[];
  }

  find(id: string): LedgerRow | undefined {
    return this.#owed.upToDate(
      this.#database.prepare(`${selectRows} where id = ?`).get(id) as unknown as LedgerRow | undefined,
    );
  }

  byRequest(requestId: string): LedgerRow | undefined {
    return this.#owed.upToDate(this.#byRequest.get(requestId) as unknown as LedgerRow | undefined);
  }

  /** Ended runs with a request id, newest first. */
  requested(count: number): LedgerRow[] {
    const sql = `${selectRows} where state = 'exited' and request_id is not null order by ended_at desc limit ?`;
    return this.#database.prepare(sql).all(count) as unknown as LedgerRow[];
  }

  /** Hides an ended run. Its request id stays known for a while, so that a repeated request starts nothing. Never throws. */
  forget(id: string, now: number): void {
    const isRecent = "request_id is not null and ended_at > ?";
    const hide = `update runs set forgotten = 1 where id = ? and state = 'exited' and ${isRecent}`;
    const since = now - this.#memoryMs;
    this.#owed.do(`forget ${id}`, () => {
      const { changes } = this.#database.prepare(hide).run(id, since);
      if (changes === 0) this.#database.prepare("delete from runs where id = ? and state = 'exited'").run(id);
      this.#database.prepare("delete from runs where forgotten = 1 and ended_at <= ?").run(since);
    });
  }

  /** Ended background runs except the newest `count`. */
  backgroundBeyond(count: number): string[] {
    const which = "state = 'exited' and kind <> 'mcp' and forgotten = 0";
    const sql = `select id from runs where ${which} order by ended_at desc limit -1 offset ?`;
    return (this.#database.prepare(sql).all(count) as unknown as { id: string }[]).map(({ id }) => id);
  }

  /** Forgets all but the newest ended runs; returns the ids of the others. */
  trim(now: number): string[] {
    const old = this.#database
      .prepare(
        "select id from runs where state = 'exited' and forgotten = 0 order by started_at desc limit -1 offset ?",
      )
      .all(historyMax) as unknown as { id: string }[];
    for (const { id } of old) this.forget(id, now);
    return old.map(({ id }) => id);
  }

  /** Never throws: rows refused by the disk are lost, and the next start reports what it finds. */
  close(): void {
    this.#owed.close();
    try {
      this.#database.close();
    } catch (thrown) {
      say(`the ledger could not be closed in order (${String(thrown)})`);
    }
  }
}

/** Lives without a clean stop, read from the file of an ended keeper; empty while one lives. */
export function readEpochsWithoutEnd(path: string): LostEpoch[] {
  return lookAt(path, selectLostEpochs) as LostEpoch[];
}

/** Open rows, read from the file of an ended keeper; empty while one lives. */
export function readOpenRows(path: string): LedgerRow[] {
  return lookAt(path, `${selectRows} where state <> 'exited'`) as LedgerRow[];
}

function lookAt(path: string, sql: string): unknown[] {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    return database.prepare(sql).all();
  } catch {
    return []; // missing, locked, or of an earlier version: the next start reports it
  } finally {
    database?.close();
  }
}

function openExclusively(path: string, open: OpenDatabase): DatabaseSync {
  try {
    // Normal: committed rows survive kill -9, and after a power cut the boot id has changed anyway.
    return openPrivateDatabase(path, { schema, adapt, form, synchronous: "normal" }, { waitMs: 0, open });
  } catch (cause) {
    if (cause instanceof HoldfastError)
      throw new HoldfastError("state_locked", "another gateway runs on this state directory", { cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `${path} cannot be used as the ledger: ${reason}; ${remedyFor(cause)}`;
    throw new HoldfastError("state_unusable", message, { cause });
  }
}

function remedyFor(cause: unknown): string {
  if (cause instanceof OtherFormError)
    return "start the version of Holdfast that wrote it, or move it away to begin a new one";
  // What lives is found without it: by container, guard and marker.
  if (faultOf(cause) === "broken") return "move it away to begin a new one; only the history of runs is lost with it";
  return "see that the state directory has room and can be written";
}

/** In the transaction that makes the tables. */
function adapt(database: DatabaseSync): void {
  const columns = database.prepare("select name from pragma_table_info('runs')").all();
  const names = columns.map((row) => row["name"]);
  const missing = laterColumns.filter((column) => !names.includes(column.split(" ")[0] ?? ""));
  for (const column of missing) database.exec(`alter table runs add column ${column}`);
  database.exec(indexes);
}
