/** The system calls of one process on a simulated machine. Calls by a dead process have no effect. */
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { killAll, type System } from "../ending.ts";
import { KernelRefusal } from "./kernel.ts";
import type { Machine } from "./machine.ts";
import { Pipe } from "./pipe.ts";
import { signalOf } from "../unix/signals.ts";
import { startMs } from "./simulation.ts";
import type { Birth, Fence, Process, Program } from "./process.ts";
import type { Helper, HelperExit, ProcessInfo, ProcessRef, ProcessTable, SpawnRequest } from "../types.ts";

export class SimulatedSystem implements System {
  readonly machine: Machine;
  readonly own: Process;
  readonly clock: Clock;
  processes: ProcessTable;
  readonly kernel: Machine["kernel"];

  constructor(machine: Machine, own: Process) {
    this.machine = machine;
    this.own = own;
    this.kernel = machine.kernel; // the boot of this process
    this.clock = machine.simulation.clock(own);
    this.processes = this.#table();
  }

  /** Lets other processes run during a call. False: this process is dead, and the call has no effect. */
  call(): boolean {
    this.machine.onCall(this.own);
    this.kernel.interleave();
    return this.own.isAlive;
  }

  /** Kills this process at its current step. */
  crash(): void {
    this.kernel.end(this.own, { code: null, signal: "SIGKILL" });
  }

  identify(pid: number): ProcessRef | undefined {
    const info = this.processes.read(pid);
    if (info === undefined || info.state === "zombie") return undefined;
    return { pid, startTime: info.startTime, bootId: info.bootId };
  }

  isSameAlive({ pid, startTime, bootId }: ProcessRef): boolean {
    const found = this.identify(pid);
    return found !== undefined && found.startTime === startTime && bootId === this.kernel.bootId;
  }

  signal({ pid, startTime }: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): boolean {
    if (!this.call()) return false;
    const process = this.kernel.find(pid);
    if (process === undefined || !process.isAlive || process.startTime !== startTime) return false;
    this.kernel.signal(process, signal);
    return true;
  }

  killAll(look: () => ProcessInfo[]): void {
    killAll(this, look);
  }

  bootId(): string {
    return this.kernel.bootId;
  }

  start([command = "", ...args]: readonly string[], env: Readonly<Record<string, string>>): Helper {
    const environment = Object.entries(env)
      .map(([name, value]) => `${name}=${value}`)
      .join("\0");
    return this.startHelper(this.machine.program(command, args), {
      command: [command, ...args].join(" "),
      environment,
    });
  }

  /** Starts one of Holdfast's own processes, outside every container. */
  startHelper(program: Program, birth: Birth): Helper {
    const stdout = new Pipe();
    const stderr = new Pipe();
    try {
      if (this.machine.isShortOfHelpers) throw new KernelRefusal("EAGAIN");
      this.machine.requireStart(undefined);
      const child = this.kernel.fork(this.own, program, { ...birth, outputs: [stdout, stderr] });
      const exit = this.exitOf(child);
      return {
        pid: child.pid,
        stdout: stdout.output,
        stderr: stderr.output,
        exit: exit.then((how): HelperExit => ({ ...how, refused: null })),
        get isRunning() {
          return child.isAlive;
        },
        signal: (request) => {
          if (this.call()) this.kernel.signal(child, signalOf(request));
        },
      };
    } catch (thrown) {
      if (!(thrown instanceof KernelRefusal)) throw thrown;
      const exit: HelperExit = { code: null, signal: null, refused: thrown.code };
      return { pid: 0, stdout: null, stderr: null, exit: Promise.resolve(exit), isRunning: false, signal: () => {} };
    }
  }

  /** How a child ends; withheld from a process that is dead by then. */
  exitOf(child: Process): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return new Promise((resolve) => {
      child.whenOver((exit) => this.clock.soon(() => resolve(exit)));
    });
  }

  /** Forks a container's process; throws `spawn_failed` when the system refuses. */
  spawn({ cwd, command }: Pick<SpawnRequest, "cwd" | "command">, program: Program, birth: Birth): Process {
    try {
      this.machine.requireStart(cwd);
      return this.kernel.fork(this.own, program, birth);
    } catch (cause) {
      if (!(cause instanceof KernelRefusal)) throw cause;
      const where = cwd === undefined ? "" : ` in ${cwd} (does the directory exist?)`;
      throw new HoldfastError("spawn_failed", `cannot start ${command}${where}: ${cause.code}`, { cause });
    }
  }

  /** Moves this process, as a real process can move itself. */
  moveTo(fence: Fence): void {
    if (this.call()) this.own.fence = fence;
  }

  #table(): ProcessTable {
    const find = (pid: number) => {
      this.call();
      return this.kernel.find(pid);
    };
    const read = (pid: number) => {
      const process = find(pid);
      return process === undefined ? undefined : this.kernel.info(process);
    };
    const children = (pid: number) => [...(find(pid)?.children ?? [])].map((child) => child.pid);
    return {
      read,
      children,
      pids: () => {
        this.call();
        return this.kernel.processes.map(({ pid }) => pid);
      },
      descendants(root, skip = new Set()) {
        const found: ProcessInfo[] = [];
        const seen = new Set([root, ...skip]);
        const queue = [root];
        for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
          for (const child of children(parent)) {
            if (seen.has(child)) continue;
            seen.add(child);
            queue.push(child);
            const info = read(child);
            if (info !== undefined) found.push(info);
          }
        }
        return found;
      },
      command: (pid) => find(pid)?.command ?? "[?]",
      startedAt: ({ startTime }) =>
        Math.floor(startMs + (this.kernel.processes.find((each) => each.startTime === startTime)?.startedAtMs ?? 0)),
      environment: (pid) => {
        const process = find(pid);
        return process?.isAlive === true ? process.environment : undefined;
      },
    };
  }
}
