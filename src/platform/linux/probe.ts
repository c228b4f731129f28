/** Finds the best tier that this machine gives, by trying it, and says why it did not get a better one. */
import { HoldfastError } from "../../errors.ts";
import { CgroupContainment, type JoinPrograms } from "./cgroup.ts";
import { executorScript } from "./executor.ts";
import { installProgram, programImage } from "./programs.ts";
import { adoptOrphans } from "./own-children.ts";
import { installGuardPrograms, SubreaperContainment } from "./subreaper.ts";
import type { Containment, TierName } from "../types.ts";

export interface Probed {
  containment: Containment;
  /** One line per better tier that was tried and refused. */
  refused: string[];
}

/** Throws where no tier is built, before anything is opened or written. */
export function requirePlatform(platform: NodeJS.Platform = process.platform): void {
  if (platform === "linux") return;
  const message = `Holdfast has no containment for ${platform} yet: it runs on Linux, and there it can prove what it ends`;
  throw new HoldfastError("unsupported_platform", message);
}

/** What starts a run in its cgroup; slower means where no programs are written for the processor. */
export function joinPrograms(directory: string, arch: string = process.arch): JoinPrograms {
  if (programImage(arch, "joiner") === undefined)
    return { joiner: undefined, executor: [process.execPath, executorScript], format: "json" };
  const joiner = installProgram(directory, "joiner");
  return { joiner, executor: [installProgram(directory, "executor")], format: "binary" };
}

/**
 * Opens the containment of one epoch and makes this process the subreaper of all it will start.
 * `directory`: where the little programs may be written. `only`: take this tier or fail (tests, comparisons).
 */
export function openContainment(ownerId: string, epoch: number, directory: string, only?: TierName): Probed {
  const refused: string[] = [];
  adoptOrphans();
  if (only !== "subreaper") {
    const opened = CgroupContainment.open(ownerId, epoch, joinPrograms(directory));
    if (opened instanceof CgroupContainment) return { containment: opened, refused };
    refused.push(`cgroup: ${opened.reason}`);
    if (only === "cgroup") throw new HoldfastError("unsupported_platform", `no cgroup tier here: ${opened.reason}`);
  }
  const containment = new SubreaperContainment(ownerId, installGuardPrograms(directory));
  return { containment, refused };
}
