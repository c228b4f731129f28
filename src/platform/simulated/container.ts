/** Shared by both kinds of simulated container: start a command behind a helper, ask, and end. */
import { HoldfastError } from "../../errors.ts";
import { findMarked } from "../ending.ts";
import { guardVariable, markerOf, markerVariable } from "../marker.ts";
import { untilTrue } from "../wait.ts";
import type { Container, MainExit, PoliteRequest, ProcessInfo, SpawnRequest, Spawned } from "../types.ts";
import { Pipe } from "./pipe.ts";
import { signalOf, type SimulatedSystem } from "./system.ts";
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
    const terminal = request.terminal && platform.machine.terminalOf(request.terminal)?.pipe;
    const [stdin, stdout, stderr] = terminal ? [terminal, terminal, terminal] : [new Pipe(), new Pipe(), new Pipe()];
    const entries = environmentOf(request).filter(
      (entry) => !entry.startsWith(`${markerVariable}=`) && !entry.startsWith(`${guardVariable}=`),
    );
    const marker = `${markerVariable}=${markerOf(this.owner, this.runId, "")}`;
    const isWithoutInput = request.stdin === "ignore";
    if (isWithoutInput) stdin.cut();
    const birth: Birth = {
      command: [request.command, ...request.args].join(" "),
      environment: [...entries, marker].join("\0"),
      input: stdin,
      outputs: [stdout, stderr],
    };
    const command = platform.machine.program(request.command, request.args);
    const program: Program = (self) => {
      terminal?.drop(birth); // it has its own end
      return command(self);
    };
    terminal?.hold(birth);
    let exited: (how: MainExit) => void = () => {};
    const exit = new Promise<MainExit>((resolve) => {
      exited = (how) => void platform.clock.soon(() => resolve(how));
    });
    const [between, helperBirth] = this.between(program, birth, exited);
    const helper = platform.spawn(request, between, helperBirth);
    this.helper = helper;
    helper.whenOver((how) => {
      terminal?.drop(birth);
      exited(how); // a helper that is killed cannot report the command's end, nor one that was killed before its first step
    });
    platform.own.whenOver(() => stdin.cut());
    await platform.clock.sleep(0);
    const { pid, startTime } = helper;
    return {
      stdin: terminal || isWithoutInput ? null : stdin.input,
      stdout: terminal ? null : stdout.output,
      stderr: terminal ? null : stderr.output,
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

function environmentOf({ env }: SpawnRequest): string[] {
  if (Array.isArray(env)) return env.map((entry) => Buffer.from(entry).toString());
  return Object.entries(env as Record<string, string>).map(([name, value]) => `${name}=${value}`);
}
