/**
 * The gateway's database of its nodes, `<state>/front/nodes.db`: identities, invitations and runs. It outlives the keeper,
 * unlike the session store: an approval holds until it is revoked.
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import { HoldfastError } from "../../errors.ts";
import { faultOf, openPrivateDatabase, OtherFormError } from "../../private-database.ts";

/** Raised when a column changes. */
const form = 1;
const fileName = "nodes.db";

const schema = `
create table if not exists gateway (id text primary key) strict;
create table if not exists nodes (
  id text primary key, public_key text not null, name text not null, state text not null, about text not null,
  created_at integer not null, decided_at integer, last_seen_at integer not null
) strict;
create table if not exists invitations (
  digest text primary key, name text, created_at integer not null, expires_at integer not null
) strict;
create table if not exists runs (
  id text primary key, epoch integer not null, node text not null, kind text not null, server text, session_id text,
  scope_key text, on_front_loss text not null, command text not null, cwd text, state text not null,
  started_at integer not null, ended_at integer, leader_ended_at integer, end_reason text, exit_code integer, signal text
) strict;
pragma user_version = ${form};`;

/**
 * Sets a corrupt file aside and begins a new one, in which no node is approved: the safe default. A locked file or one of
 * another version keeps its approvals: throws `state_locked` or `state_unusable`. A temporarily unusable file (full disk,
 * missing permission) is left as it is, and nodes are kept in memory.
 */
export function openNodesDatabase(directory: string, log: Log, clock: Clock, lockWaitMs?: number): DatabaseSync {
  const path = join(directory, fileName);
  try {
    return openAt(path, lockWaitMs);
  } catch (thrown) {
    if (thrown instanceof OtherFormError) throw otherVersion(path, thrown);
    if (thrown instanceof HoldfastError) throw thrown;
    const isBroken = faultOf(thrown) === "broken";
    const hint = isBroken
      ? "set aside; nodes are to be approved again with `holdfast nodes pending` and `approve`"
      : "left as it is, and nodes are known in memory only; make room or give the right, and restart";
    log("node.store_lost", { path, error: String(thrown), hint });
    if (!isBroken) return openAt(":memory:");
  }
  try {
    setAside(path, clock.now());
    return openAt(path);
  } catch (thrown) {
    const hint = "nodes are known in memory only; make the directory writable and restart";
    log("node.store_lost", { path, error: String(thrown), hint });
    return openAt(":memory:");
  }
}

function otherVersion(path: string, cause: OtherFormError): HoldfastError {
  const remedy = "start that version, or move the file away and approve the nodes again";
  return new HoldfastError(
    "state_unusable",
    `${path} is of another version of Holdfast (${cause.message}): ${remedy}`,
    {
      cause,
    },
  );
}

/** Syncs what must survive a power failure, such as a revocation, to the disk before it returns. */
export function makeDurable(database: DatabaseSync): void {
  database.exec("pragma wal_checkpoint(truncate)");
}

function setAside(path: string, now: number): void {
  const aside = `.unusable-${now}`;
  for (const suffix of ["", "-wal", "-shm"]) {
    try {
      renameSync(path + suffix, path + aside + suffix);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
    }
  }
}

/** Runs cost no fsync: writes survive the death of any process, and each decision is synced on its own. */
function openAt(path: string, lockWaitMs?: number): DatabaseSync {
  return openPrivateDatabase(path, { schema, form, synchronous: "normal" }, lockWaitMs);
}
