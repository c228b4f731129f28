/** Plays storms and points of crash, here or in child processes, and adds up what they show. */
import { spread } from "./jobs.ts";
import { playScene, scenes, type Point } from "./points.ts";
import { Storm, type Tally } from "./storm.ts";
import { addStrikes, type Strikes } from "./strikes.ts";

export interface Failure {
  seed: number;
  promise: string;
  report: string;
}

/** What was played, of one piece or of all. */
export interface Played {
  storms: number;
  failures: Failure[];
  /** How often each kind of thing was done. */
  tally: Record<string, number>;
  strikes: Strikes;
  /** Of a processor. */
  seconds: number;
}

export type Proof = "kernel" | "scan";

export interface StormPiece {
  readonly kind: "storm";
  readonly seed: number;
  readonly minutes: number;
}

/** `at`: the numbers of the points to play; without, the scene is played once to count them. */
export interface PointsPiece {
  readonly kind: "points";
  readonly scene: string;
  readonly proof: Proof;
  readonly at?: readonly number[];
}

export interface PlayedPoints {
  /** Points of the scene. */
  met: number;
  broken: string[];
}

/** Plays one storm; the broken promise, if one was. */
export async function playStorm(
  seed: number,
  minutes: number,
  tally: Tally = new Map(),
  strikes: Strikes = {},
): Promise<Failure | undefined> {
  const storm = new Storm({ seed, minutes });
  try {
    await storm.run();
    return undefined;
  } catch (thrown) {
    const promise = thrown instanceof Error ? thrown.message : String(thrown);
    return { seed, promise, report: storm.world.report() };
  } finally {
    for (const [what, count] of storm.tally) tally.set(what, (tally.get(what) ?? 0) + count);
    addStrikes(strikes, storm.strikes);
    storm.world.remove();
  }
}

export async function playPiece(piece: StormPiece | PointsPiece): Promise<Played | PlayedPoints> {
  if (piece.kind === "points") return playPointsOf(piece);
  const before = process.cpuUsage();
  const tally: Tally = new Map();
  const strikes: Strikes = {};
  const failure = await playStorm(piece.seed, piece.minutes, tally, strikes);
  const { user, system } = process.cpuUsage(before);
  return {
    storms: 1,
    failures: failure === undefined ? [] : [failure],
    tally: Object.fromEntries(tally),
    strikes,
    seconds: (user + system) / 1e6,
  };
}

async function playPointsOf({ scene: name, proof, at = [] }: PointsPiece): Promise<PlayedPoints> {
  const scene = scenes[name];
  if (scene === undefined) throw new Error(`no scene ${name}`);
  const met: Point[] = at.length === 0 ? await playScene(scene, proof) : [];
  const broken: string[] = [];
  for (const number of at)
    await playScene(scene, proof, number).catch((thrown: unknown) => {
      broken.push(`${name} (proof by ${proof}), crash ${number}: ${String(thrown)}`);
    });
  return { met: met.length, broken };
}

interface Share {
  readonly jobs: number;
  readonly signal?: AbortSignal | undefined;
}

/** One after the other here if there is one job, else in so many child processes. */
async function playAll<P extends StormPiece | PointsPiece, R>(
  pieces: Iterable<P>,
  { jobs, signal }: Share,
  take: (result: R, piece: P) => void,
  failed: (piece: P, how: string) => R,
): Promise<void> {
  if (jobs > 1) {
    const module = new URL("job.ts", import.meta.url);
    return spread<P, R>({ module, pieces, jobs, take, failed, signal });
  }
  for (const piece of pieces) {
    if (signal?.aborted === true) return;
    take((await playPiece(piece)) as R, piece);
  }
}

export interface StormsOptions extends Share {
  readonly firstSeed: number;
  readonly count: number;
  /** Simulated minutes of each. */
  readonly minutes: number;
  /** Real seconds after which no further storm begins. */
  readonly seconds: number;
  readonly tell: (failure: Failure) => void;
}

/** Those until `signal` aborts count. */
export async function playStorms(options: StormsOptions): Promise<Played> {
  const { firstSeed, count, minutes, seconds, tell } = options;
  const began = performance.now();
  function* seeds(): Generator<StormPiece> {
    for (let number = 0; number < count && performance.now() - began < seconds * 1000; number += 1)
      yield { kind: "storm", seed: firstSeed + number, minutes };
  }
  const all: Played = { storms: 0, failures: [], tally: {}, strikes: {}, seconds: 0 };
  const add = (played: Played) => {
    all.storms += played.storms;
    all.seconds += played.seconds;
    all.failures.push(...played.failures);
    played.failures.forEach(tell);
    addStrikes(all.strikes, played.strikes);
    for (const [what, times] of Object.entries(played.tally)) all.tally[what] = (all.tally[what] ?? 0) + times;
  };
  const failed = ({ seed }: StormPiece, how: string): Played => {
    const failures = [{ seed, promise: `its process ${how}`, report: "" }];
    return { storms: 1, failures, tally: {}, strikes: {}, seconds: 0 };
  };
  await playAll(seeds(), options, add, failed);
  all.tally = Object.fromEntries(Object.entries(all.tally).toSorted(([one], [other]) => one.localeCompare(other)));
  return all;
}

export interface PointsOptions extends Partial<Share> {
  /** Every so many points, from the first so numbered. */
  readonly every?: number;
  readonly first?: number;
  readonly names?: readonly string[];
}

export interface AllPoints {
  /** Points of each scene, by its name and proof. */
  met: Record<string, number>;
  /** Points at which a crash was played. */
  played: number;
  broken: string[];
}

/** Points of one piece: a second of work. */
const pointsPerPiece = 25;

export async function playPoints(options: PointsOptions = {}): Promise<AllPoints> {
  const { every = 1, first = 1, names = Object.keys(scenes) } = options;
  const share = { jobs: 1, ...options };
  const all: AllPoints = { met: {}, played: 0, broken: [] };
  const failed = ({ scene, proof, at }: PointsPiece, how: string): PlayedPoints => {
    return { met: 0, broken: [`${scene} (proof by ${proof}), one of ${String(at)}: the process ${how}`] };
  };
  const proofs = ["kernel", "scan"] as const;
  const counting = proofs.flatMap((proof) => names.map((scene): PointsPiece => ({ kind: "points", scene, proof })));
  const pieces: PointsPiece[] = [];
  const count = ({ met, broken }: PlayedPoints, { scene, proof }: PointsPiece) => {
    all.met[`${scene} (${proof})`] = met;
    all.broken.push(...broken);
    const numbers: number[] = [];
    for (let at = first; at <= met; at += every) numbers.push(at);
    for (let from = 0; from < numbers.length; from += pointsPerPiece)
      pieces.push({ kind: "points", scene, proof, at: numbers.slice(from, from + pointsPerPiece) });
  };
  await playAll(counting, share, count, failed);
  const add = ({ broken }: PlayedPoints, { at = [] }: PointsPiece) => {
    all.played += at.length;
    all.broken.push(...broken);
  };
  await playAll(pieces, share, add, failed);
  return all;
}
