/** The tiers available on this machine, determined without changes to it. */
import { accessSync, constants, existsSync } from "node:fs";
import { release } from "node:os";
import { dirname, join } from "node:path";
import type { TierFinding, TierObstacle } from "../types.ts";
import { ownCgroupDirectory } from "./cgroup-mount.ts";
import { programImage } from "./programs.ts";

function isKernelAtLeast(major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = release()
    .split(".")
    .map((part) => Number.parseInt(part, 10));
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

function cgroupObstacle(): TierObstacle | undefined {
  if (!isKernelAtLeast(5, 14)) return { kind: "old-kernel", release: release(), lacks: "cgroup.kill", needs: "5.14" };
  const own = ownCgroupDirectory();
  if ("reason" in own) return { kind: "no-cgroup", reason: own.reason, isMounted: !own.reason.includes("not mounted") };
  const { directory } = own;
  if (isWritable(directory) && isWritable(join(directory, "cgroup.procs"))) return undefined;
  if (process.getuid?.() === 0) return { kind: "read-only", directory };
  // The gateway asks the user manager for its own scope; its answer is not tested here.
  return { kind: "not-ours", directory, hasUserManager: hasUserManager() && existsSync(dirname(directory)) };
}

function subreaperObstacle(): TierObstacle | undefined {
  if (programImage(process.arch, "launcher") === undefined) return { kind: "processor", arch: process.arch };
  if (isKernelAtLeast(5, 3)) return undefined;
  return { kind: "old-kernel", release: release(), lacks: "pidfd_open", needs: "5.3" };
}

/** Best tier first. */
export function findTiers(): TierFinding[] {
  return [
    { tier: "cgroup", obstacle: cgroupObstacle() },
    { tier: "subreaper", obstacle: subreaperObstacle() },
  ];
}
