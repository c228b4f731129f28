/** A simulated machine with XNU's rules, as the code for macOS sees it. */
import { HoldfastError } from "../../errors.ts";
import { ChainContainer } from "../darwin/container.ts";
import { Darwin } from "../darwin/darwin.ts";
import { chainFence, DarwinEpoch } from "../darwin/epoch.ts";
import type { Container, OpenOptions, Opened, ProcessRef, ProcessTable } from "../types.ts";
import { simulatedDarwin } from "./darwin.ts";
import type { Machine } from "./machine.ts";
import { SimulatedPlatform } from "./platform.ts";
import type { Process } from "./process.ts";
import type { SimulatedXnuOptions } from "./xnu.ts";

type XnuRules = Omit<SimulatedXnuOptions, "platform"> & { readonly pidMax: number };

export class SimulatedXnuPlatform extends SimulatedPlatform {
  readonly darwin: Darwin;
  override readonly processes: ProcessTable;

  constructor(machine: Machine, own: Process, rules: XnuRules) {
    super(machine, own);
    this.darwin = new Darwin(simulatedDarwin({ ...rules, platform: this }));
    this.processes = this.darwin.processes;
  }

  override open(ownerId: string, epoch: number, { only }: Partial<OpenOptions> = {}): Opened {
    if (only !== undefined && only !== "chain")
      throw new HoldfastError("unsupported_platform", `no ${only} tier on this simulated machine`);
    const { darwin } = this;
    return { epoch: new DarwinEpoch({ darwin, ownerId, epoch, fence: chainFence(darwin, ownerId) }), refused: [] };
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
