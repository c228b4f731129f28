/** The self-test: what this installation holds on this machine, tier by tier, found by trying. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemRandom } from "../random.ts";
import { systemClock } from "../clock.ts";
import { platform } from "../platform/index.ts";
import { missingOnPath, playAttacks, type Open } from "./attacks.ts";
import { endTitles, playEnds } from "./ends.ts";
import { tierNames, type Result, type Stage, type TierName } from "./types.ts";

export interface SelftestOptions {
  /** The time for all of it, in milliseconds; what is not played by then counts as failed. */
  boundMs: number;
  /** Stops it; the returned promise then rejects once all is cleaned up. */
  signal: AbortSignal;
  /** Called as soon as a case was played. */
  onResult: (result: Result) => void;
  /** The containment under test. */
  open?: Open;
}

/** What server.sh calls. */
const serverPrograms = ["sh", "setsid", "nohup", "env", "grep", "sleep"];

/** Why the machine does not give the tier; undefined where it does. */
function problemOf(tier: TierName, directory: string, open: Open): string | undefined {
  try {
    open(systemRandom.bytes(8).toString("hex"), 1, { directory, only: tier }).epoch.close();
    return undefined;
  } catch (cause) {
    return (cause as Error).message;
  }
}

/** Resolves with every result, in the order of the table. */
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
    for (const tier of tierNames) {
      const reason = problemOf(tier, directory, open);
      await playAttacks(tier, stage, open, reason);
      const endsReason = reason ?? missingOnPath(serverPrograms);
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
    rmSync(directory, { recursive: true, force: true });
  }
}
