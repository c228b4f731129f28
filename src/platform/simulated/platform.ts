/** The platform of a simulated machine, as seen by one of its processes. */
import { HoldfastError } from "../../errors.ts";
import { sweepOwner } from "../sweep.ts";
import { forkSimulatedFront } from "./front.ts";
import { GuardedContainer } from "./guarded.ts";
import { SimulatedEpoch } from "./epoch.ts";
import type { Look } from "../look.ts";
import type { Machine } from "./machine.ts";
import { SimulatedSystem } from "./system.ts";
import type {
  Attempt,
  Container,
  FrontLink,
  FrontRequest,
  OpenOptions,
  Opened,
  Platform,
  Terminal,
  TerminalSize,
  TierFinding,
  Witness,
} from "../types.ts";

export class SimulatedPlatform extends SimulatedSystem implements Platform {
  readonly witness: Witness = {
    machine: () => ({ system: "simulated", under: undefined, hasSystemd: false, isRoot: false }),
    trees: "shell",
    isLive: ({ pid, startTime }) =>
      this.kernel.find(pid)?.isAlive === true && this.kernel.find(pid)?.startTime === startTime,
    reaperProgram: () => "reaper",
    endOwner: (owner, boundMs) => sweepOwner(this, owner, () => false, boundMs),
  };

  /** A new process of the code under test on this machine. */
  static start(machine: Machine, command: string): SimulatedPlatform {
    return new SimulatedPlatform(machine, machine.start(command));
  }

  open(owner: string, epoch: number, { only }: Partial<OpenOptions> = {}): Opened {
    const tier = this.machine.proof === "kernel" && only !== "subreaper" ? "cgroup" : "subreaper";
    if (only !== undefined && only !== tier)
      throw new HoldfastError("unsupported_platform", `no ${only} tier on this simulated machine`);
    const refused =
      tier === "cgroup" ? [] : [{ tier: "cgroup" as const, reason: "the simulated kernel has no fences" }];
    return { epoch: new SimulatedEpoch(this, owner, epoch, tier), refused };
  }

  contain(owner: string, runId: string): Container {
    return new GuardedContainer(this, owner, runId);
  }

  openTerminal(size: TerminalSize): Terminal {
    if (this.machine.isShort) throw new HoldfastError("spawn_failed", "cannot open a terminal: EAGAIN");
    return this.machine.makeTerminal(size);
  }

  forkFront(request: FrontRequest): FrontLink {
    const { frontCode } = this.machine;
    if (frontCode === undefined) throw notSimulated("a front");
    return forkSimulatedFront(this, request, frontCode);
  }

  attempt(): Attempt {
    throw notSimulated("a program that is waited for");
  }

  look(): Look {
    throw notSimulated("a look for the doctor");
  }

  isHelper([program = ""]: readonly string[]): boolean {
    return program === "guard" || program === "guardian" || program === "launcher";
  }

  get treeScript(): string {
    throw notSimulated("a shell");
  }

  tiers(): TierFinding[] {
    throw notSimulated("a search for tiers");
  }
}

function notSimulated(what: string): HoldfastError {
  return new HoldfastError("internal", `the simulated machine does not have ${what}`);
}
