/** What clients do with a node in a storm, and what goes wrong on the way to it and on its machine. */
import { approve } from "./node-scenes.ts";
import { BrokenPromise, type World } from "./world.ts";

const pauseMsMax = 40_000;

export class NodeActs {
  readonly #world: World;
  readonly #count: (what: string) => void;
  readonly #runs: string[] = [];
  readonly #asked = new Set<Promise<unknown>>();
  #marks = 0;

  constructor(world: World, count: (what: string) => void) {
    this.#world = world;
    this.#count = count;
  }

  /** Until then. */
  async use(endMs: number): Promise<void> {
    const world = this.#world;
    const { random } = world.simulation;
    // Faults may keep it away for as long as they last; once they are over it must come.
    await approve(world, endMs).catch(() => {});
    while (world.simulation.nowMs < endMs) {
      await world.clock.sleep(random.fraction() ** 3 * pauseMsMax);
      if (!world.isServing) continue;
      const act = random.pick([() => this.#start(), () => this.#start(), () => this.#end(), () => this.#wait()])!;
      const doing = act().catch((thrown: unknown) => {
        if (thrown instanceof BrokenPromise) world.fail(thrown.message);
      });
      this.#asked.add(doing);
      void doing.then(() => this.#asked.delete(doing));
      await Promise.race([doing, world.clock.sleep(10_000)]);
    }
  }

  /** Resolves when every request has its answer, or its connection is gone. */
  async answered(): Promise<unknown> {
    return Promise.all(this.#asked);
  }

  async #start(): Promise<void> {
    const { random } = this.#world.simulation;
    const what = random.chance(0.5) ? "daemon" : String(Math.floor(random.fraction() * 20_000));
    const more = random.chance(0.2) ? { onFrontLoss: "kill" } : random.chance(0.2) ? { timeoutMs: 4000 } : {};
    this.#count("start run on a node");
    const argv = ["/bin/sh", "-c", `${what} n${++this.#marks}`];
    const { result } = await this.#ask("run.start", { argv, cwd: "/", host: this.#world.node?.name, ...more });
    if (result !== undefined) this.#runs.push((result as { id: string }).id);
  }

  async #end(): Promise<void> {
    const id = this.#world.simulation.random.pick(this.#runs);
    if (id === undefined) return;
    this.#count("end run on a node");
    const { result } = await this.#ask("run.kill", { id });
    const { node } = this.#world;
    if (result === undefined || node === undefined) return;
    const rows = node.disk.rows("ledger.sqlite", "select id from runs where request_id = ?", id);
    const left = node.servants.filter(({ origin }) => rows.some((row) => row["id"] === origin));
    if (left.length > 0) throw new BrokenPromise(`run.kill answered, and ${left.length} processes of ${id} live`);
  }

  async #wait(): Promise<void> {
    const id = this.#world.simulation.random.pick(this.#runs);
    if (id === undefined) return;
    this.#count("wait for a run on a node");
    await this.#ask("run.wait", { id, waitMs: 5000 });
  }

  #ask(method: string, params: object): Promise<Record<string, unknown>> {
    return this.#world.client().rpc(method, params);
  }
}
