/**
 * `npm run simulate -- --mutants N`: plays each mutant against what runs its place, what finds most first: the simulation, and
 * what that does not find, the tests of the rooms.
 */
import { allMutants, drawMutants, rooms, type LeftOut, type Mutant } from "./mutants.ts";
import { ownTests, playTests, readTestsReached, type TestsReached } from "./own-tests.ts";
import { loading, playParts, readReached, type Found } from "./patched-play.ts";
import type { Reached } from "./reach.ts";

export interface Outcome extends Found {
  readonly mutant: Mutant;
  /** Whether anything that is played runs the code at all. */
  readonly isReached: boolean;
  /** Null: nothing found it. "quick": a test of `npm run test:quick`; "slow": another one. */
  readonly layer: Layer | null;
}

export type Layer = "simulation" | "quick" | "slow";

export interface Sample {
  readonly outcomes: readonly Outcome[];
  readonly leftOut: Readonly<Record<string, Readonly<Record<LeftOut, number>>>>;
}

/** Of a part: its processor time, and how often it was played and found something. */
interface Merit {
  readonly ms: number;
  plays: number;
  finds: number;
}

type At = Pick<Mutant, "file" | "at">;

/** A part may take this many times as long with a mutant, and a little more. */
const patience = 3;
const leastBoundMs = 2000;
/** Attempts to load the product on a machine that refuses. */
const loadsMax = 3;

const keyOf = ({ file, at }: At) => `${file}:${at}`;

/** What runs which place, and what is most likely to find a mutant there. */
class Ranking {
  readonly #merits: ReadonlyMap<string, Merit>;
  /** Of each part, and of loading the product: the places it runs, and how many of each file. */
  readonly #reached = new Map<string, ReadonlySet<string>>();
  readonly #inFile = new Map<string, ReadonlyMap<string, number>>();
  readonly #whenLoaded: ReadonlySet<string>;

  constructor(places: At[], { loaded, parts }: Reached) {
    this.#merits = new Map(parts.map(({ name, ms }): [string, Merit] => [name, { ms, plays: 0, finds: 0 }]));
    this.#whenLoaded = new Set(loaded.map((number) => keyOf(places[number]!)));
    for (const { name, places: numbers } of parts) {
      const reached = numbers.map((number) => places[number]!);
      this.#reached.set(name, new Set(reached.map(keyOf)));
      const counts = new Map<string, number>();
      for (const { file } of reached) counts.set(file, (counts.get(file) ?? 0) + 1);
      this.#inFile.set(name, counts);
    }
  }

  /** Files that the product loads when it is played. */
  get files(): Set<string> {
    const keys = [...this.#whenLoaded, ...[...this.#reached.values()].flatMap((each) => [...each])];
    return new Set(keys.map((key) => key.slice(0, key.lastIndexOf(":"))));
  }

  /** The names of the parts that run this place, the most promising first. */
  partsFor(mutant: Mutant): string[] {
    const key = keyOf(mutant);
    const names = [...this.#merits.keys()].filter(
      (name) => this.#whenLoaded.has(key) || this.#reached.get(name)?.has(key) === true,
    );
    // A scene that runs much of a file is about it.
    const worth = (name: string) => {
      const { ms, plays, finds } = this.#merits.get(name)!;
      return (((finds + 1) / (plays + 2)) * (this.#inFile.get(name)?.get(mutant.file) ?? 1) ** 2) / (ms + 50);
    };
    return names.toSorted((one, other) => worth(other) - worth(one));
  }

  runsWhenLoaded(mutant: Mutant): boolean {
    return this.#whenLoaded.has(keyOf(mutant));
  }

  boundOf(name: string): number {
    return leastBoundMs + patience * this.#merits.get(name)!.ms;
  }

  /** They were played in this order, up to the one that found it. */
  learn(names: readonly string[], by: string | null): void {
    const last = names.indexOf(by ?? "");
    for (const name of last === -1 ? names : names.slice(0, last + 1)) this.#merits.get(name)!.plays += 1;
    if (last !== -1) this.#merits.get(names[last]!)!.finds += 1;
  }
}

export async function playMutants(
  count: number,
  seed: number,
  jobs: number,
  tell: (outcome: Outcome) => void,
): Promise<Sample> {
  const places = [...allMutants(new Set()).values()].flat().map(({ file, at }) => ({ file, at }));
  const ranking = new Ranking(places, await readReached(places));
  const all = allMutants(ranking.files);
  const tests = new TestLayers(
    places,
    await readTestsReached(ownTests(new Set(places.map(({ file }) => file))), places),
  );
  const queue = drawMutants(count, seed, all);
  const outcomes: Outcome[] = [];
  const work = async () => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const simulated = await playAgainst(mutant, ranking);
      const outcome = simulated.by === null ? await tests.play(mutant, simulated) : simulated;
      outcomes.push(outcome);
      tell(outcome);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return { outcomes, leftOut: countLeftOut(all) };
}

async function playAgainst(mutant: Mutant, ranking: Ranking): Promise<Outcome> {
  const names = ranking.partsFor(mutant);
  if (names.length === 0) return { mutant, by: null, promise: "", isReached: false, layer: null };
  const bounded = names.map((name) => ({ name, boundMs: ranking.boundOf(name) }));
  let found = await playParts([mutant], bounded);
  // What loading does not run cannot break it: that was this machine.
  for (let again = 0; found.by === loading && !ranking.runsWhenLoaded(mutant); again += 1) {
    if (again === loadsMax) throw new Error(`the product could not be loaded: ${found.promise}`);
    found = await playParts([mutant], bounded);
  }
  ranking.learn(names, found.by);
  return { ...found, mutant, isReached: true, layer: found.by === null ? null : "simulation" };
}

/** The tests of the rooms: the quick ones first. */
class TestLayers {
  readonly #ranking: Ranking;
  readonly #quick: ReadonlySet<string>;

  constructor(places: At[], reached: TestsReached) {
    this.#ranking = new Ranking(places, reached);
    this.#quick = reached.quick;
  }

  async play(mutant: Mutant, simulated: Outcome): Promise<Outcome> {
    const names = this.#ranking.partsFor(mutant);
    const isQuick = (name: string) => this.#quick.has(name);
    const inOrder = [...names.filter(isQuick), ...names.filter((name) => !isQuick(name))];
    const { by, promise } = await playTests(
      [mutant],
      inOrder.map((name) => ({ name, boundMs: this.#ranking.boundOf(name) })),
    );
    this.#ranking.learn(inOrder, by);
    const isReached = simulated.isReached || names.length > 0;
    const layer = by === null ? null : isQuick(by) ? "quick" : "slow";
    return { mutant, by, promise, isReached, layer };
  }
}

function countLeftOut(all: ReadonlyMap<string, readonly Mutant[]>): Sample["leftOut"] {
  const counts: Record<string, Record<LeftOut, number>> = {};
  for (const [room, mutants] of all) {
    counts[room] = { words: 0, instant: 0, npm: 0, unloaded: 0 };
    for (const { leftOut } of mutants) if (leftOut !== undefined) counts[room][leftOut] += 1;
  }
  return counts;
}

export interface Row {
  readonly room: string;
  readonly drawn: number;
  readonly reached: number;
  /** By the simulation, and of the rest by tests that are quick, and by others. */
  readonly simulation: number;
  readonly quick: number;
  readonly slow: number;
  readonly found: number;
  /** Of all drawn, in percent. */
  readonly share: number;
}

/** One row per room, and one for all. */
export function rowsOf({ outcomes }: Sample): Row[] {
  const row = (room: string, of: readonly Outcome[]): Row => {
    const reached = of.filter(({ isReached }) => isReached).length;
    const by = (layer: Layer) => of.filter((one) => one.layer === layer).length;
    const layers = { simulation: by("simulation"), quick: by("quick"), slow: by("slow") };
    const found = layers.simulation + layers.quick + layers.slow;
    return { room, drawn: of.length, reached, ...layers, found, share: Math.round((100 * found) / of.length) };
  };
  const each = Object.keys(rooms).map((room) =>
    row(
      room,
      outcomes.filter(({ mutant }) => mutant.room === room),
    ),
  );
  return [...each, row("all", outcomes)].filter(({ drawn }) => drawn > 0);
}
