/** One simulated machine: a kernel, the programs available on it, and the processes of the code under test. */
import type { FrontCode } from "./front-place.ts";
import { Kernel, KernelRefusal, type KernelOptions } from "./kernel.ts";
import { MachineTime } from "./machine-time.ts";
import type { Process, Program } from "./process.ts";
import { SimulatedTerminal } from "./terminal.ts";
import type { TerminalSize } from "../types.ts";
import type { Simulation } from "./simulation.ts";

export interface MachineOptions extends KernelOptions {
  /** How a container is proven empty here: by the kernel's count, or by repeated scans. */
  readonly proof: "kernel" | "scan";
}

export class Machine {
  readonly simulation: Simulation;
  readonly time = new MachineTime();
  readonly proof: MachineOptions["proof"];
  /** By command name. */
  readonly programs = new Map<string, (args: readonly string[]) => Program>();
  /** The code that a keeper's fronts run; undefined: it has none. */
  frontCode: FrontCode | undefined;
  /** Called at each system call of the code under test: a moment for a fault. */
  onCall: (own: Process) => void = () => {};
  /** Called as the code under test sends a message to another process of its own, before it leaves. */
  onSend: (own: Process) => void = () => {};
  /** Nonexistent working directories. */
  readonly missingDirectories = new Set<string>();
  /** While set, every process start is refused, as in a shortage. */
  isShort = false;
  /** While set, only the start of Holdfast's own processes is. */
  isShortOfHelpers = false;
  readonly #options: MachineOptions;
  #kernel: Kernel;
  #boots = 1;
  readonly #terminals: SimulatedTerminal[] = [];

  constructor(simulation: Simulation, options: MachineOptions) {
    this.simulation = simulation;
    this.proof = options.proof;
    this.#options = options;
    this.#kernel = new Kernel(simulation, { ...options, time: this.time });
  }

  get kernel(): Kernel {
    return this.#kernel;
  }

  start(command: string): Process {
    const process = this.#kernel.fork(this.#kernel.init, reapChildren, { command });
    // Before anything that it does: its code may run ahead of its first step.
    process.isSubreaper = true;
    process.withstand("SIGPIPE");
    return process;
  }

  makeTerminal(size: TerminalSize): SimulatedTerminal {
    const terminal: SimulatedTerminal = new SimulatedTerminal(this.#terminals.length, size, () => {
      for (const process of this.#kernel.processes)
        if (process.input === terminal.pipe && process.handlers.has("SIGWINCH"))
          this.#kernel.signal(process, "SIGWINCH");
    });
    this.#terminals.push(terminal);
    return terminal;
  }

  terminalOf({ descriptor }: { readonly descriptor: number }): SimulatedTerminal | undefined {
    return this.#terminals[descriptor];
  }

  /** As a laptop whose lid is closed; it goes on where it was. */
  suspend(): void {
    this.simulation.suspend(this.time);
  }

  resume(): void {
    this.simulation.resume(this.time);
  }

  /** Power failure and reboot with an empty process table. */
  reboot(): void {
    this.#kernel.powerOff();
    this.#boots += 1;
    this.#kernel = new Kernel(this.simulation, { ...this.#options, time: this.time, bootId: `boot-${this.#boots}` });
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
  for (;;) {
    while (self.reap() !== undefined) yield undefined;
    yield { until: () => [...self.children].some((child) => !child.isAlive) };
  }
}
