/**
 * `npm run fuzz -- --minutes M [--seed N] [FILE…]`: the properties of test/fuzz/ with twice their usual cases, again and
 * again with the next seed. Stops at the first failure, which names its seed and its smallest counterexample.
 */
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

process.chdir(fileURLToPath(new URL("../", import.meta.url)));
const { values, positionals } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string" } },
  allowPositionals: true,
});
const minutes = Number(values.minutes);
const first = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(first) || first < 0) {
  console.error("use: npm run fuzz -- [--minutes M] [--seed N] [FILE…]");
  process.exit(2);
}
const files = positionals.length > 0 ? positionals : ["test/fuzz/*.test.ts"];
const until = performance.now() + minutes * 60_000;
let seed = first;
do {
  const began = performance.now();
  const env = { ...process.env, HOLDFAST_FUZZ_SEED: String(seed), HOLDFAST_FUZZ_FACTOR: "2" };
  const tests = spawn(process.execPath, ["--test", "--test-reporter=dot", ...files], { stdio: "inherit", env });
  const [code] = (await once(tests, "exit")) as [number | null];
  console.log(
    `seed ${seed}: ${code === 0 ? "held" : "FAILED"} after ${Math.round((performance.now() - began) / 1000)} s`,
  );
  process.exitCode = code ?? 1;
  seed = (seed + 1) % 2 ** 31;
} while (process.exitCode === 0 && performance.now() < until);
