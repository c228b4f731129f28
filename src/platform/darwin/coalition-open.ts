/** The coalition tier on a real macOS: launchctl, directories with FIFOs, and a guardian that runs coalition-sweeper.ts. */
import { join } from "node:path";
import type { Epoch } from "../types.ts";
import { CoalitionEpoch } from "./coalition-epoch.ts";
import type { CoalitionParts } from "./coalition-tree.ts";
import type { Darwin } from "./darwin.ts";
import { RealJobFiles } from "./job-files.ts";
import { launchctlOf, type Launchctl } from "./launchctl.ts";
import { Launchd } from "./launchd.ts";

export interface CoalitionOptions {
  readonly darwin: Pick<Darwin, "clock" | "processes" | "signal" | "markerScans" | "xnu">;
  readonly ownerId: string;
  readonly epoch: number;
  /** Of the owner's helper programs; its jobs have one in it. */
  readonly directory: string;
  /** The program of this system by default. */
  readonly launchctl?: Launchctl;
  /** What a guardian runs when its keeper is gone, followed by the owner, the epoch and the directory. */
  readonly sweeper: readonly string[];
}

export function coalitionParts(options: CoalitionOptions): CoalitionParts {
  const { darwin, ownerId, epoch, directory, launchctl = launchctlOf(), sweeper } = options;
  return {
    system: darwin,
    xnu: darwin.xnu,
    launchd: new Launchd(launchctl, darwin.clock, process.getuid?.() ?? 0),
    files: new RealJobFiles(join(directory, "jobs"), [...sweeper, ownerId, String(epoch), directory]),
    scans: darwin.markerScans,
    ownPid: process.pid,
    umask: process.umask(),
  };
}

export function openCoalition(options: CoalitionOptions): Epoch {
  return new CoalitionEpoch(coalitionParts(options), options.ownerId, options.epoch);
}
