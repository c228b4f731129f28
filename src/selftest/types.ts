/** Results of the self-test: one per attack or end, per tier. */
import { platform } from "../platform/index.ts";
import type { TierName } from "../platform/types.ts";

export type { TierName };
/** Those of this system, best first. */
export const tierNames = (): TierName[] => platform.tiers().map(({ tier }) => tier);

/**
 * `held`: nothing was left. `best effort`: only what the tier does not guarantee was left. `left`: a guarantee is
 * broken. `failed`: not played to its end. `not available`: cannot be played here.
 */
export type Verdict = "held" | "best effort" | "left" | "failed" | "not available";

export interface Result {
  kind: "attack" | "end";
  name: string;
  tier: TierName;
  verdict: Verdict;
  /** Number of processes to be ended. */
  processes: number;
  /** Roles of the leftovers. */
  left: string[];
  /** Milliseconds from the event until nothing was left. */
  ms: number;
  /** Milliseconds of the start of an attack's first process. */
  startMs?: number;
  /** Why it failed or is not available. */
  reason?: string;
}

export const isBroken = ({ verdict }: Result): boolean => verdict === "left" || verdict === "failed";

/** Shared by the parts of the self-test. */
export interface Stage {
  /** The self-test's directory, with one below it per part. */
  directory: string;
  /** End of the time limit on `Clock.monotonic()`. */
  deadline: number;
  /** Aborted by the user. */
  signal: AbortSignal;
  onResult: (result: Result) => void;
}
