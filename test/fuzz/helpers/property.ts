/**
 * Properties as tests: each holds for a bounded number of generated cases. The seed is fixed, unless HOLDFAST_FUZZ_SEED has
 * another one; HOLDFAST_FUZZ_FACTOR multiplies the cases. A failure tells its seed and its smallest counterexample.
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import * as fc from "fast-check";
import { growthOf, linearMax } from "../../helpers/growth.ts";

const seed = numberOf("HOLDFAST_FUZZ_SEED", 4653);
const factor = numberOf("HOLDFAST_FUZZ_FACTOR", 1);
/** Of one property, with the usual number of cases; a slow machine meets fewer of them. */
const caseMsMax = 3000 * factor;

function numberOf(variable: string, fallback: number): number {
  const text = process.env[variable];
  if (text === undefined || text === "") return fallback;
  assert.ok(/^\d{1,10}$/.test(text), `${variable} must be a whole number`);
  return Number(text);
}

/** What must hold of every generated value; it throws for one of which it does not hold. */
type Holds<T> = (value: T) => unknown;

export function property<T>(promise: string, cases: number, values: fc.Arbitrary<T>, holds: Holds<T>): void {
  it(promise, async (t) => {
    const checked = fc.asyncProperty(values, async (value) => {
      await holds(value);
    });
    const details = await fc.check(checked, {
      seed,
      numRuns: cases * factor,
      interruptAfterTimeLimit: caseMsMax,
      markInterruptAsFailure: false,
    });
    t.diagnostic(`${details.numRuns} cases, seed ${seed}`);
    if (details.failed) throw failure(promise, details as fc.RunDetails<[unknown]>);
  });
}

function failure(promise: string, details: fc.RunDetails<[unknown]>): Error {
  const { numRuns, numShrinks, counterexample, errorInstance } = details;
  const why = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  const lines = [
    `${promise}: it does not, in case ${numRuns} of seed ${seed} (HOLDFAST_FUZZ_SEED=${seed})`,
    `smallest counterexample (${numShrinks} steps): ${shown(counterexample?.[0])}`,
    why,
  ];
  return new Error(lines.join("\n"), { cause: errorInstance });
}

const shownMax = 4000;

/** Bytes as text, too, one character each. */
function shown(value: unknown): string {
  const text = fc.stringify(value).replaceAll(/Buffer\.from\(\[([\d,]*)\]\)/g, (_, bytes: string) => {
    const latin = Buffer.from(bytes.split(",").map(Number)).toString("latin1");
    return `Buffer.from(${JSON.stringify(bytes === "" ? "" : latin)}, "latin1")`;
  });
  return text.length <= shownMax ? text : `${text.slice(0, shownMax)} … (${text.length} characters)`;
}

/** Cheap work is linear enough; where it is not cheap, its growth is measured. */
export function assertLinear(work: (size: number) => void, size: number, what: string): void {
  const before = process.cpuUsage();
  work(4 * size);
  const { user, system } = process.cpuUsage(before);
  if ((user + system) / 1000 < 100) return;
  const growth = growthOf(work, size);
  assert.ok(growth < linearMax, `${what}: four times as long costs ${growth.toFixed(1)} times as much`);
}

/** Cuts bytes at the given places, in pieces of any size; empty pieces are among them. */
export function piecesOf(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [...cuts, bytes.length].map((end, index) => bytes.subarray(cuts[index - 1] ?? 0, end));
}

/** Places for `piecesOf`. */
export const places = fc.array(fc.nat(10_000), { maxLength: 12 });
