/** What goes wrong with a node: its link, its processes, its machine, and its right to be one. */
import type { Process } from "../../src/platform/simulated/process.ts";
import { approve } from "./node-scenes.ts";
import type { NodeHost } from "./node-host.ts";
import { Troubles } from "./troubles.ts";
import type { World } from "./world.ts";

const letInTriesMax = 10;
const letInEveryMs = 2000;

export class NodeFaults extends Troubles {
  protected readonly pauseMsMax = 40_000;
  readonly #node: NodeHost;

  constructor(world: World, node: NodeHost, count: (what: string) => void) {
    super(world, count);
    this.#node = node;
  }

  /** Everything works again, and the node may come back. */
  async heal(): Promise<void> {
    const { machine, disk, link } = this.#node;
    machine.resume();
    machine.isShort = false;
    disk.isFull = false;
    machine.onCall = () => {};
    if (link.isCut) link.mend(false);
    await approve(this.world);
  }

  protected all(): (() => Promise<void> | void)[] {
    const { machine, disk } = this.#node;
    return [
      () => this.#cut(),
      () => this.#cut(),
      () => this.#hold(),
      () => this.#reset(),
      () => this.#kill("front"),
      () => this.#kill("keeper"),
      () => this.#kill("guardian"),
      () => this.#crashSoon(),
      () => this.#stop("front", this.#node.front?.own),
      () => this.#stop("keeper", this.#node.life?.platform.own),
      () => this.#visit(),
      () => this.#reboot(),
      () => this.#suspend(),
      () => this.#revoke(),
      () => this.#setClock(),
      () => this.#whileSo("shortage of processes on the node", (isSo) => (machine.isShort = isSo)),
      () => this.#whileSo("full disk on the node", (isSo) => (disk.isFull = isSo)),
    ];
  }

  get #random() {
    return this.world.simulation.random;
  }

  #pause(msMax: number): Promise<void> {
    return this.world.clock.sleep(this.#random.fraction() ** 2 * msMax);
  }

  async #cut(): Promise<void> {
    const { link } = this.#node;
    const direction = this.#random.pick(["both", "to the gateway", "to the node"] as const)!;
    this.count(direction === "both" ? "link cut" : `link half-cut ${direction}`);
    link.cut(direction);
    await this.#pause(60_000);
    link.mend(this.#random.chance(0.5));
  }

  /** The connection stands still in one direction until after another one was made: its bytes come late. */
  async #hold(): Promise<void> {
    this.count("late bytes of an old connection");
    const held = this.#node.link.hold(this.#random.chance(0.5) ? "to the gateway" : "to the node");
    await this.#pause(30_000);
    held.release();
  }

  #reset(): void {
    this.count("link reset");
    this.#node.link.reset();
  }

  #kill(command: string): void {
    const { kernel } = this.#node.machine;
    const victim = kernel.processes.find((one) => one.command === command && one.isAlive);
    if (victim === undefined) return;
    this.count(`kill the node's ${command}`);
    kernel.signal(victim, "SIGKILL");
  }

  #crashSoon(): void {
    const own = this.#node.life?.platform.own;
    let left = 1 + this.#random.below(60);
    this.#node.machine.onCall = (at) => {
      if (at !== own || !own.isAlive || --left !== 0) return;
      this.count("crash of the node's keeper at a call");
      this.#node.life?.platform.crash();
    };
  }

  async #stop(what: string, own: Process | undefined): Promise<void> {
    if (own?.isAlive !== true) return;
    this.count(`the node's ${what} stands still`);
    this.#node.machine.kernel.signal(own, "SIGSTOP");
    await this.#pause(60_000);
    this.#node.machine.kernel.signal(own, "SIGCONT");
  }

  /** It comes for one run only, as by `holdfast node run --once`, and is back for good later. */
  async #visit(): Promise<void> {
    const { life } = this.#node;
    if (life === undefined || !this.#node.canAct) return;
    this.count("the node visits for one run");
    this.#node.once = true;
    void life.keeper.close("shutdown");
    await this.#pause(60_000);
    this.#node.once = false;
  }

  #reboot(): void {
    this.count("the node's machine reboots");
    this.world.reboot(this.#node);
  }

  async #suspend(): Promise<void> {
    this.count("the node's machine is suspended");
    this.#node.machine.suspend();
    await this.#pause(180_000);
    this.#node.machine.resume();
  }

  async #revoke(): Promise<void> {
    const world = this.world;
    if (!world.isServing) return;
    this.count("the node is revoked");
    const asked = world.client().rpc("node.revoke", { node: this.#node.id });
    await Promise.race([asked.catch(() => {}), world.clock.sleep(10_000)]);
    await this.#pause(20_000);
    await this.#letIn();
  }

  /** An admin who tries again when it fails. */
  async #letIn(): Promise<void> {
    const { world } = this;
    for (let tries = 0; tries < letInTriesMax; tries += 1) {
      const params = { node: this.#node.id, name: this.#node.name };
      const asked = world.isServing ? world.client().rpc("node.approve", params) : undefined;
      const answer = await Promise.race([asked?.catch(() => undefined), world.clock.sleep(letInEveryMs)]);
      if (answer?.["result"] !== undefined) return;
      await world.clock.sleep(letInEveryMs);
    }
  }

  #setClock(): void {
    this.count("the node's clock is set");
    this.#node.machine.time.wallOffsetMs = (this.#random.fraction() - 0.5) * 4 * 3_600_000;
  }

  async #whileSo(what: string, be: (isSo: boolean) => void): Promise<void> {
    this.count(what);
    be(true);
    await this.#pause(15_000);
    be(false);
  }
}
