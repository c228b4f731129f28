/** Who keeps a machine's keeper running, like a service manager, and stops it for good. */
import type { Clock } from "../../src/clock.ts";
import type { Simulation } from "../../src/platform/simulated/simulation.ts";
import type { Host } from "./host.ts";

/** Longest pause before a keeper that is gone is started. */
const restartMsMax = 2000;

/** What it needs of the world. */
interface KeptWorld {
  readonly simulation: Simulation;
  readonly clock: Clock;
  /** Pause before a start; undefined: as the seed draws it. */
  readonly pauseMs: number | undefined;
  note(text: string): void;
}

export class Keeping {
  /** Whether a keeper that is gone is started again. */
  isKept = true;
  readonly #host: Host;
  readonly #world: KeptWorld;
  #keeping: Promise<void> = Promise.resolve();
  #lostPower: () => void = () => {};

  constructor(host: Host, world: KeptWorld) {
    this.#host = host;
    this.#world = world;
  }

  #note(text: string): void {
    this.#world.note(`${this.#host.name}: ${text}`);
  }

  begin(): void {
    this.isKept = true;
    this.#keeping = this.#keep();
  }

  /** The machine loses its power and boots again. */
  reboot(): void {
    this.#host.machine.reboot();
    this.#lostPower();
  }

  /** Stops the keeper of now by `close`, or as it happens; false: it was killed. It is not started again. */
  async stop(isGone: (look: () => boolean) => Promise<void>): Promise<boolean> {
    const { life } = this.#host;
    if (life === undefined) return false;
    const { keeper, over, platform } = life;
    this.isKept = false;
    let isOrderly = false;
    const told = over.then(
      () => (isOrderly = true),
      () => {}, // it could not start
    );
    void keeper.close("shutdown");
    await isGone(() => !platform.own.isAlive);
    await Promise.race([told, this.#world.clock.sleep(1)]);
    await this.#keeping;
    return isOrderly;
  }

  async #keep(): Promise<void> {
    const { clock, simulation } = this.#world;
    while (this.isKept) {
      const life = this.#start();
      const own = life?.platform.own;
      const how = await Promise.race([
        life?.over.then(
          () => "ended",
          (thrown: unknown) => `refused: ${String(thrown)}`,
        ) ?? "not started",
        new Promise<string>((resolve) => {
          if (own?.isAlive !== true) return resolve("killed");
          own.whenOver(() => clock.soon(() => resolve("killed")));
        }),
        new Promise<string>((resolve) => (this.#lostPower = () => resolve("lost its power"))),
      ]);
      this.#note(`keeper ${own?.pid ?? 0} ${how}`);
      if (!this.isKept) return;
      await clock.sleep(this.#world.pauseMs ?? 50 + simulation.random.fraction() * restartMsMax);
    }
  }

  #start() {
    try {
      const life = this.#host.start();
      this.#note(`keeper ${life.platform.own.pid} started`);
      return life;
    } catch (thrown) {
      this.#note(`keeper not started: ${String(thrown)}`);
      return undefined;
    }
  }
}
