/**
 * At start: compares what the ledger says with what lives, and leaves nothing of an earlier epoch behind. Signals only
 * what the kernel itself ties to this owner (a fence's name, a guard, a marker), never a pid because a row names it.
 */
import { bootId, isSameAlive, type ProcessIdentity } from "../contain/processes.ts";
import { sweepOwner } from "../contain/sweep.ts";
import { untilTrue } from "../contain/wait.ts";
import type { Containment } from "../contain/types.ts";
import type { Ledger, LedgerRow } from "./ledger.ts";
import type { Log } from "./log.ts";

/** Time for an earlier guardian to finish its work before ours begins. */
const guardianBoundMs = 15_000;
const sweepBoundMs = 10_000;

export interface Reconciled {
  /** One line per thing found, for people. */
  words: string[];
  /** Processes ended. */
  swept: number;
  /** Open rows of far sides: only a look over there can close them. */
  far: LedgerRow[];
}

/** Waits until the guardian of the keeper before us has done its work; it would take our own runs for its own otherwise. */
export async function awaitOldGuardian(guardian: ProcessIdentity | undefined): Promise<void> {
  if (guardian !== undefined) await untilTrue(() => !isSameAlive(guardian), guardianBoundMs);
}

export async function reconcile(
  ledger: Ledger,
  containment: Containment,
  ownerId: string,
  epoch: number,
  log: Log,
): Promise<Reconciled> {
  const rows = ledger.open();
  const words = await containment.sweep(sweepBoundMs);
  words.push(...(await sweepOwner(ownerId, (runId) => runId.startsWith(`r${epoch}-`), sweepBoundMs)));
  const swept = words.filter((word) => word.startsWith("ended pid")).length;
  for (const word of words) log.warn({ event: "orphan.swept", what: word });
  const far = rows.filter(({ host }) => host.startsWith("ssh:"));
  for (const row of rows) if (!far.includes(row)) words.push(closeRow(ledger, row, words));
  for (const id of ledger.trim(Date.now())) log.debug({ event: "history.trimmed", run: id });
  return { words, swept, far };
}

/** Closes the row of a run whose keeper is gone; what lived of it has been ended above. */
function closeRow(ledger: Ledger, row: LedgerRow, words: readonly string[]): string {
  const otherBoot = row.bootId !== bootId();
  const found = !otherBoot && words.some((word) => word.includes(row.id));
  const endReason = found ? "orphan-swept" : "keeper-lost";
  const now = Date.now();
  ledger.ended({
    ...row,
    endedAt: now,
    leaderEndedAt: row.leaderEndedAt ?? now,
    endReason,
    exitCode: null,
    signal: null,
  });
  const survivor = survivorOf(row);
  if (survivor !== undefined) return survivor;
  const how = otherBoot
    ? "the machine was restarted"
    : found
      ? "its processes were ended now"
      : "nothing of it was left";
  return `closed run ${row.id} (${row.command.slice(0, 80)}): ${how}`;
}

/** A row may name a process that neither fence nor marker ties to us: that is reported, not signalled. */
function survivorOf(row: LedgerRow): string | undefined {
  if (row.pid === null || row.startTime === null) return undefined;
  const identity = { pid: row.pid, startTime: row.startTime, bootId: row.bootId };
  if (!isSameAlive(identity)) return undefined;
  return `closed run ${row.id}: pid ${row.pid} lives but carries no mark of ours, so it was left alone; look at it`;
}
