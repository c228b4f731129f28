/** What goes wrong around a gateway, and what its operators do, as the seed draws it. */
import type { Process } from "../../src/platform/simulated/process.ts";
import { Troubles } from "./troubles.ts";

export class Faults extends Troubles {
  protected readonly pauseMsMax = 30_000;

  protected all(): (() => Promise<void> | void)[] {
    const world = this.world;
    const { site, simulation } = world;
    const { random } = simulation;
    const kill = (command: string) => {
      const victim = random.pick(site.machine.kernel.processes.filter((one) => one.command === command && one.isAlive));
      if (victim === undefined) return;
      this.count(`kill ${command}`);
      site.machine.kernel.signal(victim, "SIGKILL");
    };
    const crashSoon = (where: "call" | "send" | "write") => {
      let left = 1 + random.below(40);
      const own = site.life?.platform.own;
      const hit = (at: unknown) => {
        if (at !== own || own?.isAlive !== true || --left !== 0) return;
        this.count(`crash of the keeper at a ${where}`);
        site.life?.platform.crash();
      };
      if (where === "call") site.machine.onCall = hit;
      else if (where === "send") site.machine.onSend = hit;
      else world.onWrite = (_, owner) => hit(owner);
    };
    const forAWhile = async (what: string, begin: () => void, end: () => void) => {
      this.count(what);
      begin();
      await world.clock.sleep(random.fraction() * 15_000);
      end();
    };
    return [
      () => kill("front"),
      () => kill("keeper"),
      () => kill("guardian"),
      () => kill("guard"),
      () => kill("mcp"),
      () => crashSoon("call"),
      () => crashSoon("send"),
      () => crashSoon("write"),
      () => this.#stop("front", site.front?.own),
      () => this.#stop("keeper", site.life?.platform.own),
      () =>
        forAWhile(
          "shortage of processes",
          () => (site.machine.isShort = true),
          () => (site.machine.isShort = false),
        ),
      () =>
        forAWhile(
          "full disk",
          () => (site.disk.isFull = true),
          () => (site.disk.isFull = false),
        ),
      () => this.#holdConnections(),
      () => {
        this.count("reboot");
        world.reboot();
      },
      () => this.#operate(),
      () => this.#operate(),
      () => this.#operate(),
    ];
  }

  /** It stands still for a while, as in a debugger; a front also for longer than its keeper waits. */
  async #stop(what: string, own: Process | undefined): Promise<void> {
    const { site, simulation } = this.world;
    if (own?.isAlive !== true) return;
    this.count(`${what} stands still`);
    site.machine.kernel.signal(own, "SIGSTOP");
    await this.world.clock.sleep(simulation.random.fraction() * 20_000);
    site.machine.kernel.signal(own, "SIGCONT");
  }

  async #holdConnections(): Promise<void> {
    const { network, simulation } = this.world;
    this.count("connections stand still");
    const lines = network.open.flatMap((connected) => connected.lines);
    for (const line of lines) line.isHeld = true;
    await this.world.clock.sleep(simulation.random.fraction() * 10_000);
    for (const line of lines) line.release();
  }

  /** One to three commands of operators at once. */
  async #operate(): Promise<void> {
    const world = this.world;
    const { random } = world.simulation;
    const { life } = world.site;
    for (let count = 1 + random.below(3); count > 0; count -= 1) {
      if (life === undefined || life !== world.site.life || !world.site.canAct) return;
      const command = random.pick(["restart", "restart", "restart --all", "stop", "reload"])!;
      this.count(command);
      if (command === "restart" && world.isServing)
        void world
          .client()
          .rpc("gateway.restart", {})
          .catch(() => {});
      else if (command === "restart --all") void life.keeper.close("shutdown", undefined, { again: true });
      else if (command === "stop") void life.keeper.close("shutdown");
      else if (command === "reload") this.#reload(life.keeper);
      if (random.chance(0.5)) await world.clock.sleep(random.fraction() * 300);
    }
  }

  #reload(keeper: { reload(): unknown }): void {
    const { site, simulation } = this.world;
    const { echo, ...rest } = (site.config as { mcpServers: Record<string, object> }).mcpServers;
    const isChanged = simulation.random.chance(0.5);
    const next = { ...echo, args: isChanged ? [String(simulation.random.below(5))] : [] };
    site.config = { ...site.config, mcpServers: { echo: next, ...rest } };
    try {
      keeper.reload();
    } catch {
      // refused: the gateway is stopping
    }
  }

  /** Everything works again. */
  heal(): void {
    const { site } = this.world;
    this.world.note("quiet");
    site.machine.isShort = false;
    site.disk.isFull = false;
    site.machine.onCall = () => {};
    site.machine.onSend = () => {};
    this.world.onWrite = () => {};
  }
}
