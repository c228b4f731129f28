/** The contract's backend for simulated machines: every scene is played with many seeds, and a failing one names its seed. */
import { Machine, type MachineOptions } from "../../../src/platform/simulated/machine.ts";
import { SimulatedPlatform } from "../../../src/platform/simulated/platform.ts";
import type { Process } from "../../../src/platform/simulated/process.ts";
import { Simulation } from "../../../src/platform/simulated/simulation.ts";
import type { Container, Epoch, Spawned } from "../../../src/platform/types.ts";
import { untilTrue } from "../../../src/platform/wait.ts";
import { polite, stuck, trees } from "./simulated-trees.ts";
import type { Backend, OtherKeeper, Tree, World } from "./backend.ts";

const readyBoundMs = 5000;
const untilBoundMs = 20_000;
/** So small that numbers come back within a scene. */
const pidMax = 90;

/** What is simulated: the machine, and the code on it. */
export interface Model {
  readonly name: string;
  readonly proof: Backend["proof"];
  readonly machine: MachineOptions;
  readonly start: (machine: Machine, command: string) => SimulatedPlatform;
  readonly cannot: Backend["cannot"];
  readonly bestEffort?: Backend["bestEffort"];
  /** What is left besides processes and fences. */
  readonly leftovers?: (machine: Machine) => string[];
}

class SimulatedWorld implements World {
  readonly owner = "owner00000000001";
  readonly platform: SimulatedPlatform;
  readonly epoch: Epoch;
  readonly machine: Machine;
  readonly #model: Model;
  #runs = 0;
  #origins = 0;
  #isReleased = false;

  constructor(simulation: Simulation, model: Model) {
    this.#model = model;
    this.machine = new Machine(simulation, model.machine);
    this.machine.missingDirectories.add("/no/such/directory");
    const programs = { ...trees, polite, stuck: stuck(() => this.#isReleased) };
    for (const [name, program] of Object.entries(programs))
      this.machine.programs.set(name, ([origin = ""]) => (self) => {
        self.origin = origin;
        return program(self);
      });
    this.platform = model.start(this.machine, "keeper");
    this.epoch = this.platform.open(this.owner, 2).epoch;
  }

  release(): void {
    this.#isReleased = true;
  }

  async until(what: string, look: () => boolean): Promise<void> {
    if (!(await untilTrue(look, untilBoundMs, this.platform.clock))) throw new Error(`not in time: ${what}`);
  }

  async moment(): Promise<void> {
    await this.platform.clock.sleep(this.machine.simulation.random.fraction() * 2);
  }

  prepare(tree: string) {
    this.#runs += 1;
    return this.#prepare(this.epoch.create(`r2-${this.#runs}`), tree);
  }

  async start(tree: string): Promise<Tree> {
    const prepared = this.prepare(tree);
    return { ...prepared, spawned: await this.#ready(prepared.spawn) };
  }

  async keeper(owner: string, epoch: number, { isGuarded }: { isGuarded: boolean }): Promise<OtherKeeper> {
    const platform = this.#model.start(this.machine, "another keeper");
    const opened = platform.open(owner, epoch).epoch;
    if (isGuarded) await opened.watchdog().ready;
    return {
      start: async (tree, runId) => {
        const prepared = this.#prepare(opened.create(runId), tree);
        await this.#ready(prepared.spawn);
        return prepared;
      },
      lose: async () => platform.crash(),
    };
  }

  leftovers(): string[] {
    const { kernel } = this.machine;
    const known = new Set<Process>([kernel.init, this.platform.own]);
    return [
      ...kernel.fences("/").map(({ name }) => name),
      ...(this.#model.leftovers?.(this.machine) ?? []),
      ...kernel.processes.filter((process) => !known.has(process)).map(({ command }) => command),
    ];
  }

  #prepare(container: Container, tree: string) {
    this.#origins += 1;
    const origin = `${tree} ${this.#origins}`;
    const survivors = () => {
      const { kernel } = this.machine;
      return kernel.processes
        .filter((process) => process.isAlive && process.origin === origin)
        .map(({ pid }) => this.platform.identify(pid))
        .filter((ref) => ref !== undefined);
    };
    const count = () => this.machine.kernel.processes.filter((process) => process.origin === origin).length;
    const spawn = () => container.spawn({ command: tree, args: [origin], env: { PATH: "/bin" } });
    return { container, spawn, survivors, count };
  }

  async #ready(spawn: () => Promise<Spawned>): Promise<Spawned> {
    const spawned = await spawn();
    let text = "";
    spawned.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await untilTrue(() => text.includes("ready"), readyBoundMs, this.platform.clock);
    if (!text.includes("ready")) throw new Error(`the tree was not ready: ${text}`);
    return spawned;
  }
}

export interface Seeds {
  /** Per scene. */
  readonly count: number;
  /** The first one, or the only one when a failure is replayed. */
  readonly first: number;
}

/** `HOLDFAST_SIMULATION_SEED` replays one seed. */
export function seedsFromEnvironment(count: number): Seeds {
  const only = process.env["HOLDFAST_SIMULATION_SEED"];
  return only === undefined ? { count, first: 1 } : { count: 1, first: Number(only) };
}

export function simulatedBackend(proof: Backend["proof"], seeds: Seeds): Backend {
  const cannot: Backend["cannot"] = proof === "kernel" ? {} : { limits: "a scan holds none" };
  const start = (machine: Machine, command: string) => SimulatedPlatform.start(machine, command);
  return modelBackend({ name: `proof by ${proof}`, proof, machine: { proof, pidMax }, start, cannot }, seeds);
}

export function modelBackend(model: Model, { count, first }: Seeds): Backend {
  const { name, proof, cannot, bestEffort = {} } = model;
  const names = Object.keys(trees).filter(
    (each) => each !== "frozen" || (proof === "kernel" && model.machine.rules !== "xnu"),
  );
  const sizes: Record<string, number> = { wide: 31, deep: 22, chains: 2, "own-subreaper": 2, "holds-stdout": 1 };
  return {
    name: `simulated machines, ${name}`,
    proof,
    trees: names.map((each) => ({ name: each, processes: sizes[each] ?? 1 })),
    refused: { command: "sh", cwd: "/no/such/directory" },
    cannot,
    bestEffort,
    async play(scene) {
      for (let seed = first; seed < first + count; seed += 1) {
        const simulation = new Simulation(seed);
        try {
          await simulation.run(scene(new SimulatedWorld(simulation, model)));
        } catch (cause) {
          const how = `replay it with HOLDFAST_SIMULATION_SEED=${seed}`;
          throw new Error(`seed ${seed}, ${how}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
        }
      }
    },
  };
}
