/** Clocks that are set and machines that stand still, in a storm. */
import { Troubles } from "./troubles.ts";

const hourMs = 3_600_000;

export class TimeFaults extends Troubles {
  protected readonly pauseMsMax = 200_000;

  protected all(): (() => Promise<void> | void)[] {
    return [() => this.#setClock(), () => this.#suspend()];
  }

  /** By minutes or hours, back or forth. */
  #setClock(): void {
    const { random } = this.world.simulation;
    this.count("clock set");
    const rangeMs = random.chance(0.5) ? 4 * hourMs : hourMs / 10;
    this.world.site.machine.time.wallOffsetMs = (random.fraction() - 0.5) * rangeMs;
  }

  async #suspend(): Promise<void> {
    const { site, clock, simulation } = this.world;
    this.count("machine suspended");
    site.machine.suspend();
    await clock.sleep(simulation.random.fraction() ** 3 * 120_000);
    site.machine.resume();
  }
}
