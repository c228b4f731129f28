/**
 * At start: compares the ledger with live processes and ends everything of earlier epochs. Signals only processes that the
 * kernel ties to this owner (by fence name, guard or marker), never a pid from a row.
 */
import { stateLetters, type LeftProcess, type Platform } from "../platform/types.ts";
import { untilTrue } from "../platform/wait.ts";
import type { LedgerRow } from "./ledger-row.ts";
import { closeRow, stillLeft, type LeftoverParts, type LeftRun } from "./leftovers.ts";
import type { KeeperRecord } from "./state-directory.ts";

/** Time for an earlier guardian to finish before ours starts. */
const guardianBoundMs = 15_000;
const sweepBoundMs = 10_000;

export interface Reconciled {
  /** One line per finding, for people. */
  findings: string[];
  /** Number of processes ended. */
  swept: number;
  /** Open rows of remote runs: only a look at the remote host can close them. */
  remote: LedgerRow[];
  /** Runs with survivors: their rows stay open. */
  left: LeftRun[];
}

/** Waits for the guardian of the previous keeper, which would otherwise mistake our runs for its own. */
export async function awaitOldGuardian(
  before: Pick<KeeperRecord, "guardian" | "bootId"> | undefined,
  { platform, clock }: Pick<LeftoverParts, "platform" | "clock">,
): Promise<void> {
  if (before === undefined) return;
  const guardian = { ...before.guardian, bootId: before.bootId };
  await untilTrue(() => !platform.isSameAlive(guardian), guardianBoundMs, clock);
}

/** Closes rows only on proof that their processes are gone. */
export async function reconcile(parts: LeftoverParts): Promise<Reconciled> {
  const { fences, ledger, log } = parts;
  const rows = ledger.open();
  const { ended, left } = await fences.sweepEarlier(sweepBoundMs);
  const findings = [
    ...ended.map((one) => `ended pid ${one.pid}${ofRun(one)}: ${one.command}`),
    ...left.map(
      (one) => `could not end pid ${one.pid} (state ${stateLetters[one.state]})${ofRun(one)}: ${one.command}`,
    ),
  ];
  for (const finding of findings) log.warn({ event: "orphan.swept", what: finding });
  const remote = rows.filter(({ host }) => host.startsWith("ssh:"));
  const held: LeftRun[] = [];
  for (const row of rows) {
    if (remote.includes(row)) continue;
    const alive = stillLeft(row, left, parts.platform);
    if (alive.length > 0) held.push({ row, left: alive });
    findings.push(alive.length > 0 ? keep(row, alive) : close(parts, row, ended));
  }
  for (const id of ledger.trim(parts.clock.now())) log.debug({ event: "history.trimmed", run: id });
  return { findings, swept: ended.length, remote, left: held };
}

function ofRun({ run }: LeftProcess): string {
  return run === null ? "" : ` of run ${run}`;
}

function keep(row: LedgerRow, left: readonly LeftProcess[]): string {
  const who = left.map(({ pid, state, command }) => `pid ${pid} (state ${stateLetters[state]}) ${command}`).join(", ");
  return `run ${row.id} is still not over: ${who}; its end is tried again`;
}

/** Closes the row of a run without a keeper and without processes. */
function close(
  { ledger, clock, platform }: Pick<LeftoverParts, "ledger" | "clock" | "platform">,
  row: LedgerRow,
  ended: readonly LeftProcess[],
): string {
  const otherBoot = row.bootId !== platform.bootId();
  const found = !otherBoot && ended.some(({ run }) => run === row.id);
  closeRow(ledger, row, found ? "orphan-swept" : "keeper-lost", clock.now());
  const stranger = strangerOf(row, platform);
  if (stranger !== undefined) return stranger;
  const how = otherBoot
    ? "the machine was restarted"
    : found
      ? "its processes were ended now"
      : "nothing of it was left";
  return `closed run ${row.id} (${row.command.slice(0, 80)}): ${how}`;
}

/** A process that only a row ties to us is reported, not signalled. */
function strangerOf(row: LedgerRow, platform: Platform): string | undefined {
  if (row.pid === null || row.startTime === null) return undefined;
  const identity = { pid: row.pid, startTime: row.startTime, bootId: row.bootId };
  if (!platform.isSameAlive(identity)) return undefined;
  return `closed run ${row.id}: pid ${row.pid} lives but carries no mark of ours, so it was left alone; look at it`;
}
