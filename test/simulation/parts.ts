/** Everything that a mutant is played against, each part by its name. */
import { nodeScenes } from "./node-scenes.ts";
import { playScene, scenes } from "./points.ts";
import { playPromise, promiseScenes } from "./promises.ts";
import { playStorm } from "./play.ts";

export type Parts = ReadonlyMap<string, () => Promise<unknown>>;

/** Every so many points, so that each kind of them is met. */
const pointsApart = 17;
const stormMinutes = 6;

async function somePoints(scene: keyof typeof scenes): Promise<void> {
  const play = scenes[scene]!;
  const met = await playScene(play, "kernel");
  for (let at = 3; at <= met.length; at += pointsApart) await playScene(play, "kernel", at);
}

async function storm(seed: number): Promise<void> {
  const failure = await playStorm(seed, stormMinutes);
  if (failure !== undefined) throw new Error(`${failure.promise}\n${failure.report}`);
}

/** The quick ones first. */
export const parts: Parts = new Map<string, () => Promise<unknown>>([
  ...Object.keys(promiseScenes).map((name) => [name, () => playPromise(name, "kernel")] as const),
  ...Object.entries(nodeScenes).map(([name, scene]) => [name, () => playScene(scene, "kernel")] as const),
  ...[1, 2, 3, 4].map((seed) => [`storm ${seed}`, () => storm(seed)] as const),
  ...["a new front adopts session and run", "a run replaces the one of its scope"].map(
    (name) => [`points of: ${name}`, () => somePoints(name)] as const,
  ),
]);
