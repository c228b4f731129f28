/** A container that the kernel counts and kills as one, as by a cgroup. */
import { endFenced } from "../ending.ts";
import { untilTrue } from "../wait.ts";
import { helperGraceMs, SimulatedContainer } from "./container.ts";
import { isAlive, type Excess, type ProcessInfo, type TreeLimits } from "../types.ts";
import type { SimulatedSystem } from "./system.ts";
import type { Birth, Fence, Process, Program } from "./process.ts";

export class FencedContainer extends SimulatedContainer {
  readonly name: string;
  readonly #runs: Fence;
  #fence: Fence | undefined;
  #limits: TreeLimits = {};

  constructor(platform: SimulatedSystem, owner: string, runId: string, runs: Fence) {
    super(platform, owner, runId);
    this.#runs = runs;
    this.name = `${runs.name}/${runId}`;
  }

  holdLimits(limits: TreeLimits): void {
    this.#limits = limits;
  }

  excess(): Excess | undefined {
    const { processesMax } = this.#limits;
    if (processesMax === undefined || (this.#fence?.refusals ?? 0) === 0) return undefined;
    return { limit: "processesMax", allowed: processesMax };
  }

  list(): ProcessInfo[] {
    return this.#pids().flatMap((pid) => {
      const info = this.platform.processes.read(pid);
      return isAlive(info) ? [info] : [];
    });
  }

  looksEmpty(): boolean {
    // A fence without its first process does not count as empty.
    return (this.main !== undefined || this.helper?.isAlive !== true) && !this.#isPopulated();
  }

  /** A launcher outside: the command is born in the fence, and the launcher ends like the command. */
  protected between(main: Program, birth: Birth): [Program, Birth] {
    const { processesMax = Infinity } = this.#limits;
    const fence = this.platform.kernel.makeFence(this.name, this.#runs);
    this.#fence = fence;
    fence.processesMax = processesMax;
    const launcher = (self: Process) => this.#launch(self, main, { ...birth, fence });
    const { environment = "" } = birth;
    return [launcher, { command: `launcher ${birth.command ?? ""}`, environment, outputs: [] }];
  }

  *#launch(self: Process, program: Program, birth: Birth): ReturnType<Program> {
    self.withstand("SIGTERM", "SIGINT", "SIGHUP");
    yield undefined;
    const main = self.fork(program, birth);
    this.main = main;
    yield { until: () => !main.isAlive };
    self.reap();
    return main.exit;
  }

  protected async endOnce(boundMs: number): Promise<ProcessInfo[]> {
    const { platform, helper } = this;
    await this.endUnborn();
    const fence = this.#fence;
    if (fence === undefined) return [];
    const tree = {
      members: () => this.list(),
      isPopulated: () => this.#isPopulated(),
      kill: () => {
        if (platform.call()) platform.kernel.killFence(fence);
      },
      dismissHelpers: () => untilTrue(() => helper?.isAlive !== true, helperGraceMs, platform.clock),
      marked: () => this.marked(),
    };
    const left = await endFenced(platform, tree, boundMs);
    if (left.length === 0 && platform.call()) platform.kernel.removeFence(fence);
    return left;
  }

  #pids(): number[] {
    this.platform.call();
    return this.#fence === undefined ? [] : this.platform.kernel.within(this.#fence).map(({ pid }) => pid);
  }

  #isPopulated(): boolean {
    return this.#pids().length > 0;
  }
}
