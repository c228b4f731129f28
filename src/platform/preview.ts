/** Which tiers are previews: their tests ran on simulated machines or on stand-ins, never on the system itself. */
import type { TierName } from "./types.ts";

const previews: Readonly<Record<TierName, boolean>> = {
  cgroup: false,
  subreaper: false,
  job: true,
  coalition: true,
  chain: true,
};

export function isPreview(tier: TierName): boolean {
  return previews[tier];
}
