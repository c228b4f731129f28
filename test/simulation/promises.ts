/** Named scenes that each hold a promise of their own, besides what the world holds at every moment. */
import { settleBoundMs, type Scene } from "./acts.ts";
import { configuredScenes } from "./scenes-of-configured.ts";
import { farScenes } from "./scenes-of-far-servers.ts";
import { frontScenes } from "./scenes-of-front.ts";
import { keeperScenes } from "./scenes-of-keeper.ts";
import { nodeRunScenes } from "./scenes-of-node-runs.ts";
import { nodePromises } from "./scenes-of-nodes.ts";
import { outputScenes } from "./scenes-of-output.ts";
import { largeScenes } from "./scenes-of-large.ts";
import { listScenes } from "./scenes-of-lists.ts";
import { ownerScenes } from "./scenes-of-owners.ts";
import { peerScenes } from "./scenes-of-peers.ts";
import { recordScenes } from "./scenes-of-records.ts";
import { remainScenes } from "./scenes-of-remains.ts";
import { ruleScenes } from "./scenes-of-rules.ts";
import { runScenes } from "./scenes-of-runs.ts";
import { serverScenes } from "./scenes-of-servers.ts";
import { sessionScenes } from "./scenes-of-sessions.ts";
import { streamScenes } from "./scenes-of-streams.ts";
import { terminalScenes } from "./scenes-of-terminals.ts";
import { toolScenes } from "./scenes-of-tools.ts";
import { mustBeTold } from "./told.ts";
import { BrokenPromise, endBoundMs, World } from "./world.ts";

export interface PromiseScene {
  readonly config?: object;
  /** With a second machine, a node of the gateway. */
  readonly node?: boolean;
  readonly play: Scene;
}

export const promiseScenes: Record<string, PromiseScene> = {
  ...frontScenes,
  ...configuredScenes,
  ...keeperScenes,
  ...outputScenes,
  ...terminalScenes,
  ...ownerScenes,
  ...runScenes,
  ...sessionScenes,
  ...streamScenes,
  ...largeScenes,
  ...listScenes,
  ...serverScenes,
  ...peerScenes,
  ...nodePromises,
  ...nodeRunScenes,
  ...toolScenes,
  ...farScenes,
  ...ruleScenes,
  ...recordScenes,
  ...remainScenes,
};

const sceneBoundMs = 900_000;

/** Rejects with the broken promise and what had happened. */
export async function playPromise(name: string, proof: "kernel" | "scan", seed = 1): Promise<void> {
  const scene = promiseScenes[name];
  if (scene === undefined) throw new Error(`no scene ${name}`);
  const { config, node } = scene;
  const world = new World({ seed, proof, node, ...(config === undefined ? {} : { config }) });
  try {
    world.begin();
    await world.play(whole(world, scene), sceneBoundMs);
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw new BrokenPromise(`${name} (proof by ${proof}): ${message}\n${world.report()}`, { cause: thrown });
  } finally {
    world.remove();
  }
}

async function whole(world: World, { play }: PromiseScene): Promise<void> {
  await world.until("a gateway serves", () => world.isServing, settleBoundMs);
  await play(world);
  await world.until("a gateway serves again", () => world.isServing, settleBoundMs);
  await world.until("every process has an owner", () => world.strangers.length === 0, endBoundMs);
  await world.end();
  mustBeTold(world);
  await world.until("every connection is closed", () => world.network.open.length === 0, endBoundMs);
}
