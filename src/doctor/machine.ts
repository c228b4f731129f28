/** What this machine can guarantee, tier by tier, found out without making or moving anything. */
import { accessSync, constants, existsSync } from "node:fs";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { ownCgroupDirectory } from "../platform/linux/cgroup-mount.ts";
import type { TierName } from "../platform/types.ts";

export interface TierView {
  tier: TierName;
  isAvailable: boolean;
  /** What it would guarantee. */
  guarantee: string;
  /** Why it is not to be had; null when it is. */
  problem: string | null;
  /** What would give it; null when nothing is missing. */
  remedy: string | null;
}

const guarantees: Record<TierName, string> = {
  cgroup: "every process of a run ends with its owner, however it hides and whatever is killed",
  subreaper: "the same, unless guard and keeper are killed in one instant",
};

function kernelVersion(text: string): [major: number, minor: number] {
  const [major = 0, minor = 0] = text.split(".").map((part) => Number.parseInt(part, 10));
  return [major, minor];
}

function isKernelAtLeast(major: number, minor: number): boolean {
  const [ownMajor, ownMinor] = kernelVersion(release());
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

const isWritable = (path: string) => {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

function hasUserManager(): boolean {
  const runtime = process.env["XDG_RUNTIME_DIR"];
  return runtime !== undefined && existsSync(join(runtime, "systemd", "private"));
}

function viewCgroup(): TierView {
  const view = (problem: string | null, remedy: string | null): TierView => {
    return { tier: "cgroup", isAvailable: problem === null, guarantee: guarantees.cgroup, problem, remedy };
  };
  if (!isKernelAtLeast(5, 14)) return view(`Linux ${release()} has no cgroup.kill`, "Linux 5.14 or newer");
  const own = ownCgroupDirectory();
  if ("reason" in own) {
    const remedy = own.reason.includes("not mounted")
      ? "mount cgroup v2 (boot with systemd.unified_cgroup_hierarchy=1, or start the container with a cgroup namespace)"
      : "a cgroup of its own: a systemd unit with Delegate=yes";
    return view(own.reason, remedy);
  }
  if (isWritable(own.directory) && isWritable(join(own.directory, "cgroup.procs"))) return view(null, null);
  if (process.getuid?.() === 0) {
    const remedy =
      "a writable cgroup file system: --privileged, or --cgroupns=private with /sys/fs/cgroup mounted read-write";
    return view(`${own.directory} cannot be written, not even by root (a container, most likely)`, remedy);
  }
  // The gateway asks the user manager for a scope of its own; whether it answers is not tried here.
  if (hasUserManager() && existsSync(dirname(own.directory)))
    return view(
      `${own.directory} is not this user's, but a systemd user manager is there`,
      "nothing to do: `holdfast gateway` asks it for a delegated scope; or run it in a user unit with Delegate=yes",
    );
  return view(
    `${own.directory} is not this user's`,
    "run it in a systemd unit with Delegate=yes (and User=you), or as root",
  );
}

function viewSubreaper(): TierView {
  const isBuilt = process.arch === "x64" || process.arch === "arm64";
  const problem = !isBuilt
    ? `${process.arch} is not built yet`
    : isKernelAtLeast(5, 3)
      ? null
      : `Linux ${release()} has no pidfd_open`;
  const remedy = problem === null ? null : isBuilt ? "Linux 5.3 or newer" : "x64 or arm64";
  return { tier: "subreaper", isAvailable: problem === null, guarantee: guarantees.subreaper, problem, remedy };
}

/** The best tier first. */
export function viewTiers(): TierView[] {
  return [viewCgroup(), viewSubreaper()];
}
