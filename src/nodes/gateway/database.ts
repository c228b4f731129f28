/**
 * The gateway's database of its nodes, `<state>/front/nodes.db`: identities, invitations and runs. It outlives the keeper,
 * unlike the session store: an approval holds until it is revoked.
 */
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import { HoldfastError } from "../../errors.ts";
import { faultOf, openPrivateDatabase, OtherFormError, type OpenOptions } from "../../private-database.ts";
import { replaceByRename } from "../../rename.ts";

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
) strict;`;

/** Said of a file that cannot be used now. */
const withoutFile = "no node can connect until it can be opened, which is tried every few seconds";

/** Whether it can be opened now. Leaves it closed. */
export function canOpenNodesDatabase(directory: string, options: OpenOptions = {}): boolean {
  try {
    openAt(join(directory, fileName), { ...options, waitMs: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/**
 * Sets a corrupt file aside and begins a new one, in which no node is approved: the safe default. A locked file or one of
 * another version keeps its approvals: throws `state_locked` or `state_unusable`. A temporarily unusable file (full disk,
 * missing permission) is left as it is: then the database is in memory, and `onMemory` runs.
 */
export function openNodesDatabase(
  directory: string,
  log: Log,
  clock: Clock,
  { onMemory, ...options }: OpenOptions & { onMemory?: () => void } = {},
): DatabaseSync {
  const path = join(directory, fileName);
  const inMemory = () => {
    onMemory?.();
    return openAt(":memory:");
  };
  try {
    return openAt(path, options);
  } catch (thrown) {
    if (thrown instanceof OtherFormError) throw otherVersion(path, thrown);
    if (thrown instanceof HoldfastError) throw thrown;
    const isBroken = faultOf(thrown) === "broken";
    const hint = isBroken
      ? "set aside; nodes are to be approved again with `holdfast nodes pending` and `approve`"
      : `${withoutFile}; make room or give the right`;
    log("node.store_lost", { path, error: String(thrown), hint });
    if (!isBroken) return inMemory();
  }
  try {
    setAside(path, clock.now());
    return openAt(path, { open: options.open });
  } catch (thrown) {
    const hint = `${withoutFile}; make the directory writable`;
    log("node.store_lost", { path, error: String(thrown), hint });
    return inMemory();
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
      replaceByRename(path + suffix, path + aside + suffix);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
    }
  }
}

/** Runs cost no fsync: writes survive the death of any process, and each decision is synced on its own. */
function openAt(path: string, options: OpenOptions = {}): DatabaseSync {
  return openPrivateDatabase(path, { schema, form, synchronous: "normal" }, options);
}
