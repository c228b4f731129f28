/** What this machine can guarantee per tier, without creating or moving anything. */
import { platform } from "../platform/index.ts";
import type { TierName, TierObstacle } from "../platform/types.ts";

export interface TierView {
  tier: TierName;
  isAvailable: boolean;
  /** Its guarantee. */
  guarantee: string;
  /** Why it is unavailable, or null. */
  problem: string | null;
  /** What would provide it, or null. */
  remedy: string | null;
}

const guarantees: Record<TierName, string> = {
  cgroup: "every process of a run ends with its owner, however it hides and whatever is killed",
  subreaper: "the same, unless guard and keeper are killed in one instant",
  job: "the same, except what a service or another process starts for a run",
  coalition: "the same, except what launchd, XPC or `open` starts for a run",
  chain:
    "the same, except what forks twice and becomes another program without environment, or when all of Holdfast is killed in one instant",
};

function describe(obstacle: TierObstacle): { problem: string; remedy: string } {
  switch (obstacle.kind) {
    case "old-kernel":
      return {
        problem: `Linux ${obstacle.release} has no ${obstacle.lacks}`,
        remedy: `Linux ${obstacle.needs} or newer`,
      };
    case "processor":
      return { problem: `${obstacle.arch} is not built yet`, remedy: "x64 or arm64" };
    case "no-cgroup":
      return {
        problem: obstacle.reason,
        remedy: obstacle.isMounted
          ? "a cgroup of its own: a systemd unit with Delegate=yes"
          : "mount cgroup v2 (boot with systemd.unified_cgroup_hierarchy=1, or start the container with a cgroup namespace)",
      };
    case "blind":
      return { problem: obstacle.reason, remedy: "a Mac on which npm could build the packages of Holdfast" };
    case "read-only":
      return {
        problem: `${obstacle.directory} cannot be written, not even by root (a container, most likely)`,
        remedy:
          "a writable cgroup file system: --privileged, or --cgroupns=private with /sys/fs/cgroup mounted read-write",
      };
    case "not-ours":
      break;
  }
  const problem = `${obstacle.directory} is not this user's`;
  if (!obstacle.hasUserManager)
    return { problem, remedy: "run it in a systemd unit with Delegate=yes (and User=you), or as root" };
  return {
    problem: `${problem}, but a systemd user manager is there`,
    remedy:
      "nothing to do: `holdfast gateway` asks it for a delegated scope; or run it in a user unit with Delegate=yes",
  };
}

/** The best tier first. */
export function viewTiers(): TierView[] {
  return platform.tiers().map(({ tier, obstacle }) => {
    const { problem, remedy } = obstacle === undefined ? { problem: null, remedy: null } : describe(obstacle);
    return { tier, isAvailable: obstacle === undefined, guarantee: guarantees[tier], problem, remedy };
  });
}
