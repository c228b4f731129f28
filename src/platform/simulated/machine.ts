/** One machine of the model: a kernel, the programs that can be started on it, and the processes of the code under test. */
import { Kernel, KernelRefusal, type KernelOptions } from "./kernel.ts";
import type { Process, Program } from "./process.ts";
import type { Simulation } from "./simulation.ts";

export interface MachineOptions extends KernelOptions {
  /** What proves a container empty here: the kernel counts, or repeated scans. */
  readonly proof: "kernel" | "scan";
}

export class Machine {
  readonly simulation: Simulation;
  readonly proof: MachineOptions["proof"];
  /** By the name of their command. */
  readonly programs = new Map<string, (args: readonly string[]) => Program>();
  /** Working directories that do not exist. */
  readonly missingDirectories = new Set<string>();
  /** Set: every start of a process is refused, as in a shortage. */
  isShort = false;
  readonly #options: MachineOptions;
  #kernel: Kernel;
  #boots = 1;

  constructor(simulation: Simulation, options: MachineOptions) {
    this.simulation = simulation;
    this.proof = options.proof;
    this.#options = options;
    this.#kernel = new Kernel(simulation, options);
  }

  get kernel(): Kernel {
    return this.#kernel;
  }

  /** Starts a process of the code under test. */
  start(command: string): Process {
    return this.#kernel.fork(this.#kernel.init, reapChildren, { command });
  }

  /** The power fails; the machine comes up again with an empty process table. */
  reboot(): void {
    this.#kernel.powerOff();
    this.#boots += 1;
    this.#kernel = new Kernel(this.simulation, { ...this.#options, bootId: `boot-${this.#boots}` });
  }

  /** The program of a command line: exit 127, as of a shell, when there is none of this name. */
  program(command: string, args: readonly string[]): Program {
    const known = this.programs.get(command)?.(args);
    if (known !== undefined) return known;
    return function* notFound(self: Process) {
      self.print(`holdfast: ${command}: command not found\n`, 1);
      yield undefined;
      return 127;
    };
  }

  /** Throws as the system does when it refuses to start a process in this directory. */
  requireStart(cwd: string | undefined): void {
    if (this.isShort) throw new KernelRefusal("EAGAIN");
    if (cwd !== undefined && this.missingDirectories.has(cwd)) throw new KernelRefusal("ENOENT");
  }
}

/** What the code under test does besides: its dead children are taken off the table, adopted ones too. */
function* reapChildren(self: Process) {
  self.isSubreaper = true;
  self.withstand("SIGPIPE");
  for (;;) {
    while (self.reap() !== undefined) yield undefined;
    yield { until: () => [...self.children].some((child) => !child.isAlive) };
  }
}
