/**
 * The tests of the rooms, for mutants that the simulation does not notice: those that run the product in their own process.
 * What a test shows of a gateway that it starts is left out, since that one is not the patched one.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { Profiler } from "node:inspector/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { importsOf, isQuick, readOnce } from "../../scripts/layers.ts";
import { Started } from "../../scripts/started.ts";
import { patchesVariable, type Patch } from "./patched.ts";
import type { Chosen, Found } from "./patched-play.ts";
import { reachedIn, type Place, type Reached } from "./reach.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const patched = fileURLToPath(new URL("patched.ts", import.meta.url));
/** What starts a whole program, which is built and not patched. */
const programs = ["test/helpers/gateway.ts", "test/helpers/program.ts"];
/** Of one test that only waits: so many times its processor time and that much more, since a busy machine takes long. */
const patience = 6;
const waitMsLeast = 20_000;
const limitMs = 120_000;
const settleMs = 1000;
const killMs = 5000;

export interface OwnTest {
  readonly file: string;
  readonly isQuick: boolean;
}

/** The tests that load one of these files, and start no gateway. */
export function ownTests(mutated: ReadonlySet<string>): OwnTest[] {
  const read = readOnce();
  const files = globSync("test/**/*.test.ts", { cwd: root }).filter((file) => !file.startsWith("test/simulation/"));
  return files.toSorted().flatMap((file) => {
    const { files: imported } = importsOf(file, read);
    if (programs.some((program) => imported.has(program)) || imported.isDisjointFrom(mutated)) return [];
    return [{ file, isQuick: isQuick(file, read) }];
  });
}

interface Played {
  readonly code: number;
  /** Of processor time, with that of its children. */
  readonly ms: number;
  readonly told: string;
}

/** The shell says at last how much processor time its children had. */
const overBoundCode = 128 + constants.signals.SIGXCPU;
const script = 'ulimit -t "$0"; "$@"; code=$?; times; exit $code';

/** Plays one file with a limit on its processor time, and ends what it leaves. */
async function play(file: string, env: NodeJS.ProcessEnv, boundMs: number, words: readonly string[]): Promise<Played> {
  const place = mkdtempSync(join(tmpdir(), "holdfast-own-"));
  const seconds = String(Math.ceil(boundMs / 1000));
  const child = spawn("/bin/sh", ["-c", script, seconds, process.execPath, ...words, "--import", patched, file], {
    cwd: root,
    env: { ...process.env, ...env, TMPDIR: place },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const started = new Started(place, child.pid ?? process.pid);
  let told = "";
  child.stdout.on("data", (chunk: Buffer) => (told += String(chunk)));
  const late = setTimeout(() => void started.end(0, killMs), Math.min(limitMs, waitMsLeast + patience * boundMs));
  const [code] = (await once(child, "close")) as [number];
  clearTimeout(late);
  await started.end(settleMs, killMs);
  rmSync(place, { recursive: true, force: true });
  return { code, ms: processorMsIn(told), told };
}

function processorMsIn(told: string): number {
  const times = [...(told.trimEnd().split("\n").at(-1) ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  return times.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000, 0);
}

export interface TestsReached extends Reached {
  /** The names of those that are quick. */
  readonly quick: ReadonlySet<string>;
}

/** Plays each test on the product as it is and tells which places it runs. Throws when one fails. */
export async function readTestsReached(tests: readonly OwnTest[], places: readonly Place[]): Promise<TestsReached> {
  const quick = new Set(tests.filter((test) => test.isQuick).map(({ file }) => file));
  const reached = { loaded: [], parts: [] as Reached["parts"], quick };
  for (const { file } of tests) {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-reach-"));
    const { code, ms, told } = await play(file, { NODE_V8_COVERAGE: directory }, limitMs, ["--no-opt", "--no-maglev"]);
    if (code !== 0) throw new Error(`without a mutant: ${file}: ${firstFailure(told)}`);
    const numbers = new Set<number>();
    for (const name of readdirSync(directory)) {
      const counts = JSON.parse(readFileSync(join(directory, name), "utf8")) as { result: Profiler.ScriptCoverage[] };
      for (const number of reachedIn(counts.result, places)) numbers.add(number);
    }
    rmSync(directory, { recursive: true });
    reached.parts.push({ name: file, ms, places: [...numbers] });
  }
  return reached;
}

function firstFailure(told: string): string {
  return /^\s*✖ (.*?)(?: \([\d.]+ms\))?$/m.exec(told)?.[1] ?? "it ended without a word";
}

/** Plays the tests until one fails, twice unless it is over its bound: once may be the fault of the machine. */
export async function playTests(patches: readonly Patch[], tests: readonly Chosen[]): Promise<Found> {
  const env = { [patchesVariable]: JSON.stringify(patches) };
  for (const { name, boundMs } of tests) {
    const first = await play(name, env, boundMs, []);
    if (first.code === 0) continue;
    const { code, told } = first.code === overBoundCode ? first : await play(name, env, boundMs, []);
    if (code !== 0) return { by: name, promise: firstFailure(told) };
  }
  return { by: null, promise: "" };
}
