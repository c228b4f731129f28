/** Plays the battery on a patched product, in a process of its own with limits. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { patchesVariable, type Patch } from "./patched.ts";
import type { Place, Reached } from "./reach.ts";

/** What breaks before anything is played. */
export const loading = "loading";

export interface Found {
  /** The scene, storm or limit that found it; null: nothing did. */
  readonly by: string | null;
  readonly promise: string;
}

/** Of everything that one process plays: what gets around the bounds of its parts. */
const processorSeconds = 300;
/** Of a play that only waits, however busy the machine is. */
const limitMs = 900_000;
/** A mutant that keeps everything is found by this, in MB. */
const heapMax = 768;
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

interface Ended {
  /** Null: it was killed. */
  code: number | null;
  told: string;
  error: string;
}

/** Runs the battery with a limit on its processor time, since a loop that never ends must end. */
function runBattery(args: readonly string[], patches: readonly Patch[], input = ""): Promise<Ended> {
  return new Promise((resolve) => {
    const limited = ["-c", 'ulimit -t "$0"; exec "$@"', String(processorSeconds), process.execPath];
    // Optimized code does not count what it runs.
    const counted = args[0] === "reach" ? ["--no-opt", "--no-maglev"] : [];
    const options = [
      `--max-old-space-size=${heapMax}`,
      ...counted,
      "--import",
      path("patched.ts"),
      path("battery.ts"),
      ...args,
    ];
    const child = spawn("/bin/sh", [...limited, ...options], {
      env: { ...process.env, [patchesVariable]: JSON.stringify(patches) },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let [told, error] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (told += chunk));
    child.stderr.on("data", (chunk: Buffer) => (error = (error + String(chunk)).slice(-2000)));
    const late = setTimeout(() => child.kill("SIGKILL"), limitMs);
    child.once("close", (code) => {
      clearTimeout(late);
      resolve({ code, told, error });
    });
    child.stdin.on("error", () => {}); // it may end without reading
    child.stdin.end(input);
  });
}

function brokenIn({ told }: Ended): Found | undefined {
  const line = told.split("\n").findLast((each) => each.startsWith('{"by"'));
  return line === undefined ? undefined : (JSON.parse(line) as Found);
}

/** Resolves with what was found. A hang and an exit without a word are finds. */
async function foundBy(args: readonly string[], patches: readonly Patch[], input?: string): Promise<Found> {
  const ended = await runBattery(args, patches, input);
  const { code, error } = ended;
  if (code === 0) return { by: null, promise: "" };
  const limit = { by: "limit", promise: `not over after ${processorSeconds} s of processor time` };
  return brokenIn(ended) ?? (code === null ? limit : { by: "exception", promise: error });
}

/** Plays named scenes with both proofs. */
export function playPatched(patches: readonly Patch[], scenes: readonly string[]): Promise<Found> {
  return foundBy(["scenes", ...scenes], patches);
}

/** Something to play, and how much processor time it may take. */
export interface Chosen {
  readonly name: string;
  readonly boundMs: number;
}

export function playParts(patches: readonly Patch[], parts: readonly Chosen[]): Promise<Found> {
  return foundBy(["parts"], patches, JSON.stringify(parts));
}

/** Plays every part on the product as it is and tells which places it runs. Throws when it does not hold. */
export async function readReached(places: readonly Place[]): Promise<Reached> {
  const ended = await runBattery(["reach"], [], JSON.stringify(places));
  const broken = brokenIn(ended);
  if (ended.code !== 0) throw new Error(`without a mutant: ${broken?.by ?? ""}: ${broken?.promise ?? ended.error}`);
  return JSON.parse(ended.told.slice(ended.told.lastIndexOf('{"loaded"'))) as Reached;
}
