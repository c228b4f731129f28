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
  readonly darwin: Darwin;
  readonly ownerId: string;
  readonly epoch: number;
  /** Of the owner's helper programs; its jobs have one in it. */
  readonly directory: string;
  /** The program of this system by default. */
  readonly launchctl?: Launchctl;
  /** What a guardian runs when its keeper is gone, before the words of `sweeperWords`. */
  readonly sweeper: readonly string[];
}

/** What coalition-sweeper.ts is told: the owner, the epoch and the directory. */
function sweeperWords({ ownerId, epoch, directory }: CoalitionOptions): string[] {
  return [ownerId, String(epoch), directory];
}

export function coalitionParts(options: CoalitionOptions): CoalitionParts {
  const { darwin, directory, launchctl = launchctlOf(), sweeper } = options;
  return {
    system: darwin,
    xnu: darwin.xnu,
    launchd: new Launchd(launchctl, darwin.clock, process.getuid?.() ?? 0),
    files: new RealJobFiles(join(directory, "jobs"), [...sweeper, ...sweeperWords(options)]),
    scans: darwin.markerScans,
    ownPid: process.pid,
    umask: process.umask(),
  };
}

export function openCoalition(options: CoalitionOptions): Epoch {
  return new CoalitionEpoch(coalitionParts(options), options.ownerId, options.epoch);
}
