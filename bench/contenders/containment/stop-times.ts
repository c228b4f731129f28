/** From stop to empty, proven: trees of 1 to 1,001 processes on each tier, and in contain(). */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { platform } from "../../../src/platform/index.ts";
import type { TierName } from "../../../src/platform/types.ts";
import { contain } from "../../../src/library/contain.ts";
import { renderTable, type Cell } from "../../../test/helpers/table.ts";
import { median } from "../../load.ts";

/** Processes in the tree, and how often; forking a thousand takes a second. */
const sizes = [
  { count: 1, rounds: 15 },
  { count: 11, rounds: 15 },
  { count: 101, rounds: 9 },
  { count: 1001, rounds: 5 },
] as const;
const endBoundMs = 10_000;
const forest = fileURLToPath(new URL("forest.sh", import.meta.url));

/** Milliseconds from the call to the proof that nothing is left. */
type Round = (count: number) => Promise<number>;

function inTier(tier: TierName, directory: string): { round: Round; close: () => void } {
  const { epoch } = platform.open(randomBytes(8).toString("hex"), 1, { directory, only: tier });
  let runs = 0;
  const round: Round = async (count) => {
    const container = epoch.create(`r1-${(runs++).toString(16).padStart(8, "0")}`);
    const env = { PATH: process.env["PATH"] ?? "" };
    const { stdin, stdout, stderr } = await container.spawn({ command: "sh", args: [forest, String(count)], env });
    await once(stdout!, "data");
    const seen = container.list().length;
    if (seen !== count) throw new Error(`${seen} of ${count} processes on the ${tier} tier`);
    const began = performance.now();
    const left = await container.end(endBoundMs);
    const ms = performance.now() - began;
    if (left.length > 0) throw new Error(`${left.length} processes are left on the ${tier} tier`);
    for (const stream of [stdin, stdout, stderr]) stream?.destroy();
    return ms;
  };
  return { round, close: () => epoch.close() };
}

const inLibrary: Round = async (count) => {
  const contained = await contain("sh", [forest, String(count)]);
  await once(contained.stdout!, "data");
  const seen = contained.members().length;
  if (seen !== count) throw new Error(`${seen} of ${count} processes in contain()`);
  const began = performance.now();
  await contained.kill();
  return performance.now() - began;
};

async function rowOf(title: string, round: Round): Promise<Cell[]> {
  const row: Cell[] = [title];
  await round(1); // the first one compiles the path
  for (const { count, rounds } of sizes) {
    const taken: number[] = [];
    for (let index = 0; index < rounds; index += 1) taken.push(await round(count));
    row.push(Number(median(taken).toFixed(1)));
  }
  return row;
}

export async function stopTimesTable(tiers: readonly TierName[]): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const rows: Cell[][] = [];
  try {
    rows.push(await rowOf("contain(), kill()", inLibrary));
    for (const tier of tiers) {
      const { round, close } = inTier(tier, directory);
      try {
        rows.push(await rowOf(`${tier} tier`, round));
      } finally {
        close();
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  const heads = sizes.map(({ count, rounds }) => `${count.toLocaleString("en")} (of ${rounds})`);
  return renderTable(["processes", ...heads], rows);
}
