/** Results of the self-test: one per attack or end, per tier. */
import type { TierName } from "../platform/types.ts";

export type { TierName };
export const tierNames: readonly TierName[] = ["cgroup", "subreaper"];

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
