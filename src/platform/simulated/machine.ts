/** One simulated machine: a kernel, the programs available on it, and the processes of the code under test. */
import { Kernel, KernelRefusal, type KernelOptions } from "./kernel.ts";
import type { Process, Program } from "./process.ts";
import type { Simulation } from "./simulation.ts";

export interface MachineOptions extends KernelOptions {
  /** How a container is proven empty here: by the kernel's count, or by repeated scans. */
  readonly proof: "kernel" | "scan";
}

export class Machine {
  readonly simulation: Simulation;
  readonly proof: MachineOptions["proof"];
  /** By command name. */
  readonly programs = new Map<string, (args: readonly string[]) => Program>();
  /** Nonexistent working directories. */
  readonly missingDirectories = new Set<string>();
  /** While set, every process start is refused, as in a shortage. */
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

  start(command: string): Process {
    return this.#kernel.fork(this.#kernel.init, reapChildren, { command });
  }

  /** Power failure and reboot with an empty process table. */
  reboot(): void {
    this.#kernel.powerOff();
    this.#boots += 1;
    this.#kernel = new Kernel(this.simulation, { ...this.#options, bootId: `boot-${this.#boots}` });
  }

  /** The program of a command line: exit 127 for an unknown name, as in a shell. */
  program(command: string, args: readonly string[]): Program {
    const known = this.programs.get(command)?.(args);
    if (known !== undefined) return known;
    return function* notFound(self: Process) {
      self.print(`holdfast: ${command}: command not found\n`, 1);
      yield undefined;
      return 127;
    };
  }

  /** Throws like a system that refuses to start a process in this directory. */
  requireStart(cwd: string | undefined): void {
    if (this.isShort) throw new KernelRefusal("EAGAIN");
    if (cwd !== undefined && this.missingDirectories.has(cwd)) throw new KernelRefusal("ENOENT");
  }
}

/** The code under test also reaps its dead children, including adopted ones. */
function* reapChildren(self: Process) {
  self.isSubreaper = true;
  self.withstand("SIGPIPE");
  for (;;) {
    while (self.reap() !== undefined) yield undefined;
    yield { until: () => [...self.children].some((child) => !child.isAlive) };
  }
}
