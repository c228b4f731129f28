/**
 * What a guardian of the coalition tier runs when its keeper is gone: node coalition-sweeper.ts OWNER EPOCH DIRECTORY [FRONT START].
 * It ends everything of that epoch, and then the guardian's own job. Any exit code but 0: launchd starts the guardian again.
 */
import { fileURLToPath } from "node:url";
import { coalitionParts } from "./coalition-open.ts";
import { sweepEpoch } from "./coalition-sweep.ts";
import { darwin } from "./system.ts";

const script = fileURLToPath(import.meta.url);

export const sweeper: readonly string[] = [process.execPath, script];

async function sweep([
  ownerId = "",
  epoch = "",
  directory = "",
  front,
  frontStart = "",
]: readonly string[]): Promise<void> {
  const parts = coalitionParts({ darwin, ownerId, epoch: Number(epoch), directory, sweeper });
  const ref = front === undefined ? undefined : { pid: Number(front), startTime: frontStart };
  process.exitCode = (await sweepEpoch(parts, ownerId, Number(epoch), ref)) ? 0 : 1;
}

if (process.argv[1] === script)
  sweep(process.argv.slice(2)).catch((thrown: unknown) => {
    process.stderr.write(`holdfast: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    process.exitCode = 1;
  });
