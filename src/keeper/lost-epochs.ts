/** Keeper lives that ended without a clean stop: read from the ledger, recorded once. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { CrashView } from "../protocol/keeper/status.ts";
import type { CrashRecords } from "./crashes.ts";
import { readEpochsWithoutEnd, type Ledger, type LostEpoch } from "./ledger.ts";
import type { StatePaths } from "./state-directory.ts";

interface LostEpochParts {
  ledger: Ledger;
  crashes: CrashRecords;
  paths: StatePaths;
  epoch: number;
  now: number;
  bootId: string;
}

/** For the keeper, before its first log line: `epoch` is its own. */
export function recordLostEpochs({ ledger, crashes, paths, epoch, now, bootId }: LostEpochParts): void {
  for (const lost of ledger.lostEpochs()) {
    if (lost.epoch === epoch) continue;
    const isKnown = crashes
      .list(Number.POSITIVE_INFINITY)
      .some((view) => view.who === "keeper" && view.epoch === lost.epoch);
    if (!isKnown) crashes.record(crashOf(lost, lastSign(paths, lost), bootId), "");
    ledger.noticeLost(lost.epoch, now);
  }
}

/** For the command line without a keeper: the records that the next start would make. */
export function readLostEpochs(paths: StatePaths, bootId: string): CrashView[] {
  const nothing = { exitCode: null, signal: null, lastMethod: null, downMs: null, file: "" };
  return readEpochsWithoutEnd(paths.ledger).map((lost) => ({
    ...nothing,
    ...crashOf(lost, lastSign(paths, lost), bootId),
  }));
}

function crashOf(lost: LostEpoch, at: number, bootId: string) {
  const { epoch, pid } = lost;
  const why = lost.bootId === bootId ? ("vanished" as const) : ("machine-restarted" as const);
  const detail = `keeper of epoch ${epoch}, started ${new Date(lost.startedAt).toISOString()}, ended without a clean stop`;
  return { who: "keeper" as const, epoch, pid, why, detail, at };
}

/** The last log line is the newest sign of life. */
function lastSign(paths: StatePaths, lost: LostEpoch): number {
  const log = statSync(join(paths.log, "keeper.log"), { throwIfNoEntry: false });
  return Math.round(Math.max(lost.startedAt, log?.mtimeMs ?? 0));
}
