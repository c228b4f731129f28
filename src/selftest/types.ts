/** What the self-test says: one result for each attack, or way in which an owner ends, on each tier. */
import type { TierName } from "../platform/types.ts";

export type { TierName };
export const tierNames: readonly TierName[] = ["cgroup", "subreaper"];

/**
 * `held`: nothing was left. `best effort`: what was left is what the tier does not guarantee to end. `left`: the guarantee
 * is broken. `failed`: the case could not be played to its end. `not available`: this machine cannot play it.
 */
export type Verdict = "held" | "best effort" | "left" | "failed" | "not available";

export interface Result {
  kind: "attack" | "end";
  name: string;
  tier: TierName;
  verdict: Verdict;
  /** How many processes there were that had to be ended. */
  processes: number;
  /** Roles of those that were left. */
  left: string[];
  /** From the event until nothing was left, in milliseconds. */
  ms: number;
  /** Why it failed, or is not available. */
  reason?: string;
}

export const isBroken = ({ verdict }: Result): boolean => verdict === "left" || verdict === "failed";

/** What the parts of the self-test share. */
export interface Stage {
  /** The self-test's own directory; each part makes its own below it. */
  directory: string;
  /** When the time for all of it is over, as `Clock.monotonic()` counts. */
  deadline: number;
  /** Aborted when the person at the terminal has had enough. */
  signal: AbortSignal;
  onResult: (result: Result) => void;
}
