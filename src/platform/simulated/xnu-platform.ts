/** A simulated machine with XNU's rules, as the code for macOS sees it. */
import { HoldfastError } from "../../errors.ts";
import { CoalitionEpoch } from "../darwin/coalition-epoch.ts";
import { sweepEpoch } from "../darwin/coalition-sweep.ts";
import type { CoalitionParts } from "../darwin/coalition-tree.ts";
import { Launchd } from "../darwin/launchd.ts";
import { ChainContainer } from "../darwin/container.ts";
import { Darwin } from "../darwin/darwin.ts";
import { ChainEpoch } from "../darwin/epoch.ts";
import type { Container, OpenOptions, Opened, ProcessRef, ProcessTable } from "../types.ts";
import { simulatedDarwin } from "./darwin.ts";
import { SimulatedJobFiles, type JobDisk } from "./job-files.ts";
import type { SimulatedLaunchd } from "./launchd.ts";
import type { Machine } from "./machine.ts";
import { SimulatedPlatform } from "./platform.ts";
import type { Process } from "./process.ts";
import type { SimulatedXnuOptions } from "./xnu.ts";

type XnuRules = Omit<SimulatedXnuOptions, "platform"> & {
  readonly pidMax: number;
  /** The machine's launchd and disk; without them there is no coalition tier. */
  readonly jobs?: SimulatedJobs;
};

/** What outlives every process of a machine. */
export interface SimulatedJobs {
  readonly launchd: SimulatedLaunchd;
  /** By owner. */
  readonly disks: Map<string, JobDisk>;
}

export class SimulatedXnuPlatform extends SimulatedPlatform {
  readonly darwin: Darwin;
  override readonly processes: ProcessTable;
  readonly #rules: XnuRules;

  constructor(machine: Machine, own: Process, rules: XnuRules) {
    super(machine, own);
    this.#rules = rules;
    this.darwin = new Darwin(simulatedDarwin({ ...rules, platform: this }));
    this.processes = this.darwin.processes;
  }

  override open(ownerId: string, epoch: number, { only }: Partial<OpenOptions> = {}): Opened {
    const { jobs } = this.#rules;
    if (jobs !== undefined && only !== "chain")
      return { epoch: new CoalitionEpoch(this.#parts(jobs, ownerId, epoch), ownerId, epoch), refused: [] };
    if (only !== undefined && only !== "chain")
      throw new HoldfastError("unsupported_platform", `no ${only} tier on this simulated machine`);
    return { epoch: new ChainEpoch(this.darwin, ownerId, epoch), refused: [] };
  }

  #parts(jobs: SimulatedJobs, ownerId: string, epoch: number): CoalitionParts {
    const { launchd, disks } = jobs;
    const disk = disks.get(ownerId) ?? new Map();
    disks.set(ownerId, disk);
    return {
      system: this.darwin,
      xnu: this.darwin.xnu,
      launchd: new Launchd(launchd.launchctl(this), this.clock, this.own.uid),
      files: new SimulatedJobFiles({
        platform: this,
        launchd,
        disk,
        directory: `/state/${ownerId}`,
        sweep: (guardian, front) =>
          new SimulatedXnuPlatform(this.machine, guardian, this.#rules).sweepEpoch(jobs, ownerId, epoch, front),
      }),
      scans: this.darwin.markerScans,
      ownPid: this.own.pid,
      umask: 0o022,
    };
  }

  /** As the guardian's program does. */
  sweepEpoch(
    jobs: SimulatedJobs,
    ownerId: string,
    epoch: number,
    front: Parameters<typeof sweepEpoch>[3],
  ): Promise<boolean> {
    return sweepEpoch(this.#parts(jobs, ownerId, epoch), ownerId, epoch, front);
  }

  override contain(ownerId: string, runId: string): Container {
    return new ChainContainer({ darwin: this.darwin, ownerId, runId, isGuarded: true });
  }

  override identify(pid: number): ProcessRef | undefined {
    return this.darwin.processes.identify(pid);
  }

  override isSameAlive(ref: ProcessRef): boolean {
    return this.darwin.processes.isSameAlive(ref);
  }

  override signal(ref: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): boolean {
    return this.darwin.processes.signal(ref, signal);
  }
}
