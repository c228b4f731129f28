/** What goes wrong, one thing after the other, as the seed draws it. */
import { lookOut } from "./strikes.ts";
import type { World } from "./world.ts";

/** That one strikes soon after the other, while the product is still busy with it. */
const burstProbability = 0.25;
const burstMsMax = 500;
/** That one waits for a state that passes quickly. */
const ambushProbability = 0.4;
/** That it is not over when the next one is drawn. */
const overlapProbability = 0.3;

export abstract class Troubles {
  protected readonly world: World;
  /** Tells of each thing as it is done. */
  protected readonly count: (what: string) => void;
  /** Longest pause between two of them. */
  protected abstract readonly pauseMsMax: number;

  constructor(world: World, count: (what: string) => void) {
    this.world = world;
    this.count = count;
  }

  /** Until then, and until what it has begun is over. */
  async rage(endMs: number): Promise<void> {
    const { simulation } = this.world;
    const { random } = simulation;
    const underWay = new Set<Promise<void>>();
    while (simulation.nowMs < endMs) {
      const strike = async () => random.pick(this.all())!();
      const struck = (await this.#moment(strike)).struck ?? strike();
      underWay.add(struck);
      void struck.then(() => underWay.delete(struck));
      if (!random.chance(overlapProbability)) await struck;
    }
    await Promise.all(underWay);
  }

  /** Resolves after a while, or at the first moment of a state that passes quickly, and then with what was begun there. */
  async #moment(strike: () => Promise<void>): Promise<{ struck?: Promise<void> }> {
    const { clock, simulation } = this.world;
    const { random } = simulation;
    if (!random.chance(ambushProbability)) {
      await clock.sleep(random.fraction() * (random.chance(burstProbability) ? burstMsMax : this.pauseMsMax));
      return {};
    }
    return new Promise((resolve) => {
      const watch = simulation.when(lookOut(this.world), () => resolve({ struck: strike() }));
      void clock.sleep(this.pauseMsMax).then(() => {
        watch.clear();
        resolve({});
      });
    });
  }

  /** What can be drawn; what is named twice comes twice as often. */
  protected abstract all(): (() => Promise<void> | void)[];
}
