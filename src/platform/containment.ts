/** The kinds of containment that a config may ask for, and where each of them works. */
import type { TierName } from "./types.ts";

/** `best`: the best tier of the machine that needs no asking. */
export const containments = ["best", "coalition"] as const;

export type Containment = (typeof containments)[number];

/** Why a system cannot have it, with the remedy; undefined: it can. */
export function containmentProblem(
  containment: Containment,
  system: NodeJS.Platform = process.platform,
): string | undefined {
  if (containment === "best" || system === "darwin") return undefined;
  return 'works on macOS only: remove the key, or write "best", for the best tier of this machine';
}

/** The tier that is required; undefined: none. */
export function requiredTier(containment: Containment): TierName | undefined {
  return containment === "best" ? undefined : containment;
}
