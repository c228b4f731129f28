/** Finds the best tier of this machine by trying it, with the reason against better ones. */
import { HoldfastError } from "../../errors.ts";
import type { OpenOptions, RefusedTier } from "../types.ts";
import { CgroupFence, type JoinPrograms } from "./cgroup.ts";
import { LinuxEpoch } from "./epoch.ts";
import { executorScript } from "./executor.ts";
import { closeAllOnExec } from "./ffi.ts";
import { installProgram, programImage } from "./programs.ts";
import { adoptOrphans } from "./own-children.ts";
import { installGuardPrograms, SubreaperFence } from "./subreaper.ts";

/** Programs that start a run in its cgroup; slower alternatives for processors without compiled ones. */
export function joinPrograms(directory: string, arch: string = process.arch): JoinPrograms {
  if (programImage(arch, "cgroup-launcher") === undefined)
    return { cgroupLauncher: undefined, executor: [process.execPath, executorScript], format: "json" };
  const cgroupLauncher = installProgram(directory, "cgroup-launcher");
  return { cgroupLauncher, executor: [installProgram(directory, "executor")], format: "binary" };
}

/**
 * Opens one life of `ownerId` and makes this process the subreaper of everything it will start. Descriptors left open by this
 * process's own parent are not passed on.
 */
export function open(ownerId: string, epoch: number, { directory, only }: OpenOptions) {
  const refused: RefusedTier[] = [];
  adoptOrphans();
  closeAllOnExec();
  if (only !== "subreaper") {
    const fence = CgroupFence.open(ownerId, epoch, joinPrograms(directory));
    if (fence instanceof CgroupFence) return { epoch: new LinuxEpoch(ownerId, epoch, fence), refused };
    if (only === "cgroup") throw new HoldfastError("unsupported_platform", `no cgroup tier here: ${fence.reason}`);
    refused.push({ tier: "cgroup", reason: fence.reason });
  }
  const fence = new SubreaperFence(ownerId, installGuardPrograms(directory));
  return { epoch: new LinuxEpoch(ownerId, epoch, fence), refused };
}
