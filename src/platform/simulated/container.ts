/** Shared by both kinds of simulated container: start a command behind a helper, ask, and end. */
import { HoldfastError } from "../../errors.ts";
import { findMarked } from "../ending.ts";
import { markerOf } from "../marker.ts";
import { untilTrue } from "../wait.ts";
import type { Container, MainExit, PoliteRequest, ProcessInfo, SpawnRequest, Spawned } from "../types.ts";
import { prepare } from "./birth.ts";
import { signalOf } from "../unix/signals.ts";
import type { SimulatedSystem } from "./system.ts";
import type { Birth, Process, Program } from "./process.ts";

/** Time for a helper to end after its tree. */
export const helperGraceMs = 1000;

export abstract class SimulatedContainer implements Container {
  readonly runId: string;
  abstract readonly name: string;
  protected readonly platform: SimulatedSystem;
  protected readonly owner: string;
  /** The process between this one and the command. */
  protected helper: Process | undefined;
  protected main: Process | undefined;
  #ending: Promise<ProcessInfo[]> | undefined;

  constructor(platform: SimulatedSystem, owner: string, runId: string) {
    this.platform = platform;
    this.owner = owner;
    this.runId = runId;
  }

  abstract list(): ProcessInfo[];
  abstract looksEmpty(): boolean;
  protected abstract endOnce(boundMs: number): Promise<ProcessInfo[]>;
  /** The helper's program and its birth options; `exit` is called when the command has ended. */
  protected abstract between(main: Program, birth: Birth, exit: (how: MainExit) => void): [Program, Birth];

  async spawn(request: SpawnRequest): Promise<Spawned> {
    if (this.helper !== undefined) throw new HoldfastError("spawn_failed", "the container has been used");
    const { platform } = this;
    const { program, birth, abandon, ...streams } = prepare(platform, request, markerOf(this.owner, this.runId, ""));
    let exited: (how: MainExit) => void = () => {};
    const exit = new Promise<MainExit>((resolve) => {
      exited = (how) => void platform.clock.soon(() => resolve(how));
    });
    const [between, helperBirth] = this.between(program, birth, exited);
    const helper = platform.spawn(request, between, helperBirth);
    this.helper = helper;
    helper.whenOver((how) => {
      abandon();
      exited(how); // a helper that is killed cannot report the command's end, nor one that was killed before its first step
    });
    await platform.clock.sleep(0);
    const { pid, startTime } = helper;
    return {
      ...streams,
      ref: { pid, startTime, bootId: platform.bootId() },
      mainPid: () => this.main?.pid,
      exit,
    };
  }

  ask(request: PoliteRequest): boolean {
    return this.signal(signalOf(request), "all");
  }

  signal(signal: NodeJS.Signals, to: "all" | "main"): boolean {
    const meant = this.list().filter(({ pid }) => to === "all" || pid === this.main?.pid);
    return meant.filter((info) => this.platform.signal(info, signal)).length > 0;
  }

  end(boundMs: number): Promise<ProcessInfo[]> {
    this.#ending ??= this.endOnce(boundMs).then((left) => {
      if (left.length > 0) this.#ending = undefined; // no proof yet: the next call looks again
      return left;
    });
    return this.#ending;
  }

  /** Ends a helper that has not started the command yet: otherwise the command would be born after the look. */
  protected async endUnborn(): Promise<void> {
    const { helper, main, platform } = this;
    if (helper?.isAlive !== true || main !== undefined) return;
    platform.signal(helper, "SIGKILL");
    await untilTrue(() => !helper.isAlive, helperGraceMs, platform.clock);
  }

  protected async marked(): Promise<ProcessInfo[]> {
    return findMarked(this.platform, this.owner).get(this.runId) ?? [];
  }
}
