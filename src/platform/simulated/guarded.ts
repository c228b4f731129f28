/** A container whose guard inherits the orphans: proven empty by looks at the process table. */
import { endScanned, isProvenEmpty } from "../ending.ts";
import { guardVariable, markerVariable } from "../marker.ts";
import { untilTrue } from "../wait.ts";
import { helperGraceMs, SimulatedContainer } from "./container.ts";
import { isAlive, type MainExit, type ProcessInfo } from "../types.ts";
import type { SimulatedSystem } from "./system.ts";
import type { Birth, Process, Program } from "./process.ts";

export class GuardedContainer extends SimulatedContainer {
  readonly name: string;
  #isDismissed = false;

  constructor(platform: SimulatedSystem, owner: string, runId: string) {
    super(platform, owner, runId);
    this.name = `guard:${owner}/${runId}`;
  }

  list(): ProcessInfo[] {
    const { helper, platform } = this;
    if (helper === undefined) return [];
    if (helper.isAlive) return platform.processes.descendants(helper.pid).filter(isAlive);
    // A killed guard has left its tree to this process.
    const roots = this.#adopted().flatMap((pid) => platform.processes.read(pid) ?? []);
    return roots.flatMap((root) => [root, ...platform.processes.descendants(root.pid)]).filter(isAlive);
  }

  looksEmpty(): boolean {
    const { helper, platform } = this;
    if (helper === undefined) return true;
    if (helper.isAlive) return isProvenEmpty(platform, () => platform.processes.children(helper.pid));
    return isProvenEmpty(platform, () => this.#adopted());
  }

  /** A guard above: a subreaper that ends its tree when its starter is gone. */
  protected between(main: Program, birth: Birth, exit: (how: MainExit) => void): [Program, Birth] {
    const { owner, runId } = this;
    return [
      (self) => this.#guard(self, main, birth, exit),
      { command: "guard", environment: `${guardVariable}=${owner}/${runId}`, outputs: [] },
    ];
  }

  *#guard(self: Process, program: Program, birth: Birth, exit: (how: MainExit) => void): ReturnType<Program> {
    const keeper = this.platform.own;
    self.isSubreaper = true;
    self.withstand("SIGTERM", "SIGINT", "SIGHUP");
    yield undefined;
    const main = self.fork(program, birth);
    main.whenOver(exit);
    this.main = main;
    const hasDead = () => [...self.children].some((child) => !child.isAlive);
    while (keeper.isAlive && !this.#isDismissed) {
      while (self.reap() !== undefined) yield undefined;
      yield { until: () => hasDead() || !keeper.isAlive || this.#isDismissed };
    }
    while (!this.#isDismissed && self.children.size > 0) {
      for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
        for (const each of below(self)) {
          self.kernel.signal(each, signal);
          yield undefined;
        }
      }
      while (self.reap() !== undefined) yield undefined;
      yield { untilMs: self.kernel.nowMs() + 1 };
    }
    return main.exit?.code ?? 0;
  }

  protected async endOnce(boundMs: number): Promise<ProcessInfo[]> {
    const { platform, helper } = this;
    const tree = {
      members: () => this.list(),
      looksEmpty: () => this.looksEmpty(),
      marked: () => this.marked(),
      stand: () => (helper === undefined ? undefined : platform.processes.read(helper.pid)),
    };
    // Killed at once it might strand the command if this process then dies: give it time to start the command first.
    await untilTrue(() => helper?.isAlive !== true || this.main !== undefined, helperGraceMs, platform.clock);
    await this.endUnborn();
    const left = await endScanned(platform, tree, boundMs);
    if (left.length > 0 || helper === undefined) return left;
    this.#isDismissed = true;
    const grace = helper.isStopped ? 0 : helperGraceMs;
    if (!(await untilTrue(() => !helper.isAlive, grace, platform.clock))) platform.signal(helper, "SIGKILL");
    await untilTrue(() => !helper.isAlive, helperGraceMs, platform.clock);
    return [];
  }

  /** Processes reparented to this one that may be of this run. */
  #adopted(): number[] {
    const { platform, helper } = this;
    return platform.processes.children(platform.own.pid).filter((pid) => pid !== helper?.pid && this.#mayOwn(pid));
  }

  /** A cleared environment tells nothing: then it belongs to this or another dead guard's run, and the first to ask ends it. */
  #mayOwn(pid: number): boolean {
    const { processes } = this.platform;
    const startTime = processes.read(pid)?.startTime;
    if (startTime !== undefined && Number(startTime) < Number(this.helper?.startTime)) return false;
    const entries = processes.environment(pid)?.split("\0") ?? [];
    const guarded = entries.find((entry) => entry.startsWith(`${guardVariable}=`));
    if (guarded !== undefined) return guarded === `${guardVariable}=${this.owner}/${this.runId}`;
    const marker = entries.find((entry) => entry.startsWith(`${markerVariable}=`));
    return marker === undefined || marker.includes(`/${this.owner}/${this.runId}`);
  }
}

/** Live processes below one, parents first. */
function below(process: Process): Process[] {
  const children = [...process.children];
  return [...children.filter((child) => child.isAlive), ...children.flatMap(below)];
}
