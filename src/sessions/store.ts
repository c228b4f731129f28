/**
 * Stores what the next front needs of each session and of the runs behind it, in SQLite in the front's own directory. Never a precondition: an
 * unreadable file is replaced, and without writes sessions live in memory.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { OwedWrites } from "../owed-writes.ts";
import { faultOf, openPrivateDatabase, OtherFormError, type OpenOptions } from "../private-database.ts";

export type SessionKind = "mcp" | "ws" | "stdio";

/** An open session. Times are milliseconds since 1970. */
export interface SessionRecord {
  id: string;
  kind: SessionKind;
  clientName: string;
  clientVersion: string;
  server: string | null;
  parentId: string | null;
  /** Id of the owning token. */
  tokenId: string | null;
  createdAt: number;
  lastSeenAt: number;
  /** 1: its client was present at the last write. */
  held: number;
  leaseMs: number;
  /** The negotiated protocol revision. */
  protocolVersion: string | null;
  /** Handoff state of its owner; null = none. */
  memo: string | null;
}

const columns = [
  ["id", "text primary key"],
  ["kind", "text not null"],
  ["client_name", "text not null"],
  ["client_version", "text not null"],
  ["server", "text"],
  ["parent_id", "text"],
  ["token_id", "text"],
  ["created_at", "integer not null"],
  ["last_seen_at", "integer not null"],
  ["held", "integer not null"],
  ["lease_ms", "integer not null"],
  ["protocol_version", "text"],
  ["memo", "text"],
] as const;

/** Raised with the columns: files of another form are replaced, since no session outlives its keeper. */
const form = 4;
const fileName = "sessions.sqlite";

const camel = (name: string) => name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
const schema = `create table if not exists keeper (epoch integer primary key) strict;
create table if not exists sessions (${columns.map((words) => words.join(" ")).join(", ")}) strict;
create table if not exists run_owners (run text primary key, token_id text not null) strict;
create table if not exists run_callers (run text primary key, session_id text not null) strict;`;

interface StoreParts {
  clock: Clock;
  log: Log;
}

export class SessionStore {
  readonly #log: Log;
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #seen: StatementSync;
  readonly #agreed: StatementSync;
  readonly #memo: StatementSync;
  readonly #remove: StatementSync;
  readonly #own: StatementSync;
  readonly #disown: StatementSync;
  readonly #await: StatementSync;
  readonly #unawait: StatementSync;
  readonly #owed: OwedWrites;
  #failureTold = false;

  /**
   * Opens the file for this keeper's life and drops rows of earlier ones. Only damaged files and other versions are
   * replaced; locked or unwritable ones are kept.
   */
  static open(
    directory: string,
    keeperEpoch: number,
    { clock, log }: StoreParts,
    options: OpenOptions = {},
  ): SessionStore {
    const path = join(directory, fileName);
    try {
      return new SessionStore(path, keeperEpoch, { clock, log }, options);
    } catch (thrown) {
      if (!(thrown instanceof OtherFormError) && faultOf(thrown) !== "broken")
        return SessionStore.#inMemory(path, keeperEpoch, { clock, log }, thrown);
      log("session.store_lost", { path, error: String(thrown), hint: "replaced: older sessions are not resumed" });
    }
    try {
      for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(path + suffix, { force: true });
      return new SessionStore(path, keeperEpoch, { clock, log }, { open: options.open });
    } catch (thrown) {
      return SessionStore.#inMemory(path, keeperEpoch, { clock, log }, thrown);
    }
  }

  static #inMemory(path: string, keeperEpoch: number, parts: StoreParts, why: unknown): SessionStore {
    const hint = "sessions are kept in memory and end with this front; unlock the file, make room or grant access";
    parts.log("session.store_unusable", { path, error: String(why), hint });
    return new SessionStore(":memory:", keeperEpoch, parts);
  }

  private constructor(path: string, keeperEpoch: number, { clock, log }: StoreParts, options: OpenOptions = {}) {
    this.#log = log;
    this.#owed = new OwedWrites(clock, (thrown) => this.#refused(thrown));
    // Private, because ids grant access. No fsync: sessions do not survive the machine.
    this.#database = openPrivateDatabase(path, { schema, form, synchronous: "off" }, options);
    try {
      this.#beginEpoch(keeperEpoch);
      const names = columns.map(([name]) => name).join(", ");
      const places = columns.map(([name]) => `$${camel(name)}`).join(", ");
      this.#insert = this.#database.prepare(`insert or replace into sessions (${names}) values (${places})`);
      this.#seen = this.#database.prepare("update sessions set last_seen_at = ?, held = ? where id = ?");
      this.#agreed = this.#database.prepare("update sessions set protocol_version = ? where id = ?");
      this.#memo = this.#database.prepare("update sessions set memo = ? where id = ?");
      this.#remove = this.#database.prepare("delete from sessions where id = ?");
      this.#own = this.#database.prepare("insert or replace into run_owners (run, token_id) values (?, ?)");
      this.#disown = this.#database.prepare("delete from run_owners where run = ?");
      this.#await = this.#database.prepare("insert or replace into run_callers (run, session_id) values (?, ?)");
      this.#unawait = this.#database.prepare("delete from run_callers where run = ?");
    } catch (thrown) {
      this.#database.close();
      throw thrown;
    }
  }

  /** All rows, parents before children. */
  load(): SessionRecord[] {
    const names = columns.map(([name]) => `${name} as ${camel(name)}`).join(", ");
    const rows = this.#try(() => this.#database.prepare(`select ${names} from sessions order by rowid`).all());
    return (rows ?? []) as unknown as SessionRecord[];
  }

  add(record: SessionRecord): void {
    const row = { ...record };
    this.#owed.do(`add ${record.id}`, () => void this.#insert.run(row));
  }

  agreed(id: string, protocolVersion: string): void {
    this.#owed.do(`agreed ${id}`, () => void this.#agreed.run(protocolVersion, id));
  }

  remembered(id: string, memo: string | null): void {
    this.#owed.do(`memo ${id}`, () => void this.#memo.run(memo, id));
  }

  /** Many, in one transaction. */
  seen(rows: { id: string; lastSeenAt: number; held: boolean }[]): void {
    if (rows.length === 0) return;
    this.#try(() => {
      this.#database.exec("begin");
      for (const { id, lastSeenAt, held } of rows) this.#seen.run(lastSeenAt, held ? 1 : 0, id);
      this.#database.exec("commit");
    });
  }

  remove(id: string): void {
    for (const key of [`agreed ${id}`, `memo ${id}`]) this.#owed.drop(key);
    // What was never written needs no removal: a shortage must not gather the sessions that come and go in it.
    if (!this.#owed.drop(`add ${id}`)) this.#owed.do(`remove ${id}`, () => void this.#remove.run(id));
  }

  /** The owners of background runs, oldest first. */
  runOwners(): { run: string; tokenId: string }[] {
    const select = "select run, token_id as tokenId from run_owners order by rowid";
    const rows = this.#try(() => this.#database.prepare(select).all());
    return (rows ?? []) as unknown as { run: string; tokenId: string }[];
  }

  runOwned(run: string, tokenId: string): void {
    this.#owed.do(`owner of ${run}`, () => void this.#own.run(run, tokenId));
  }

  runForgotten(run: string): void {
    this.#owed.do(`owner of ${run}`, () => void this.#disown.run(run));
  }

  /** The runs that somebody waits for, each with the session of the one who does. */
  runCallers(): { run: string; sessionId: string }[] {
    const select = "select run, session_id as sessionId from run_callers order by rowid";
    const rows = this.#try(() => this.#database.prepare(select).all());
    return (rows ?? []) as unknown as { run: string; sessionId: string }[];
  }

  runAwaited(run: string, sessionId: string): void {
    this.#owed.do(`caller of ${run}`, () => void this.#await.run(run, sessionId));
  }

  runUnawaited(run: string): void {
    this.#owed.do(`caller of ${run}`, () => void this.#unawait.run(run));
  }

  close(): void {
    this.#owed.close();
    this.#try(() => this.#database.close());
  }

  #beginEpoch(epoch: number): void {
    const known = this.#database.prepare("select epoch from keeper").get() as { epoch: number } | undefined;
    if (known?.epoch === epoch) return;
    this.#database.exec(
      "begin immediate; delete from sessions; delete from run_owners; delete from run_callers; delete from keeper",
    );
    this.#database.prepare("insert into keeper (epoch) values (?)").run(epoch);
    this.#database.exec("commit");
  }

  /** A full disk must not end a live session: until there is room, it cannot be resumed as it is. */
  #try<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch (thrown) {
      if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec("rollback");
      this.#refused(thrown);
      return undefined;
    }
  }

  #refused(thrown: unknown): void {
    const hint = "what is unwritten is lost if the front dies before there is room; logged once";
    if (!this.#failureTold) this.#log("session.store_failed", { error: String(thrown), hint });
    this.#failureTold = true;
  }
}
