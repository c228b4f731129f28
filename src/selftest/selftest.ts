/** The self-test: tries what this installation holds on this machine, tier by tier. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemRandom } from "../random.ts";
import { systemClock } from "../clock.ts";
import { platform } from "../platform/index.ts";
import { missingOnPath, playAttacks, type Open } from "./attacks.ts";
import { endTitles, playEnds } from "./ends.ts";
import { ownTrees } from "./trees.ts";
import { tierNames, type Result, type Stage, type TierName } from "./types.ts";

export interface SelftestOptions {
  /** Time limit in milliseconds; cases not played by then have failed. */
  boundMs: number;
  /** Stops it; the promise then rejects after cleaning up. */
  signal: AbortSignal;
  /** Called after each case. */
  onResult: (result: Result) => void;
  /** The containment under test. */
  open?: Open;
}

/** Why the machine lacks the tier; undefined if it has it. */
function problemOf(tier: TierName, directory: string, open: Open): string | undefined {
  try {
    open(systemRandom.bytes(8).toString("hex"), 1, { directory, only: tier }).epoch.close();
    return undefined;
  } catch (cause) {
    return (cause as Error).message;
  }
}

/** Resolves with all results, in table order. */
export async function selftest(options: SelftestOptions): Promise<Result[]> {
  const { signal, onResult, open = platform.open } = options;
  const directory = mkdtempSync(join(tmpdir(), "holdfast-selftest-"));
  const results: Result[] = [];
  const stage: Stage = {
    directory,
    deadline: systemClock.monotonic() + options.boundMs,
    signal,
    onResult(result) {
      results.push(result);
      onResult(result);
    },
  };
  try {
    for (const tier of tierNames()) {
      const reason = problemOf(tier, directory, open);
      await playAttacks(tier, stage, open, reason);
      const endsReason = reason ?? missingOnPath(ownTrees.serverPrograms);
      if (endsReason === undefined) {
        await playEnds(tier, stage);
        continue;
      }
      const nothing = { processes: 0, left: [], ms: 0 };
      for (const name of endTitles)
        stage.onResult({ kind: "end", name, tier, ...nothing, verdict: "not available", reason: endsReason });
    }
    return results;
  } finally {
    // On Windows a file of a process that has just ended is locked for a moment.
    rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
