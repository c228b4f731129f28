/**
 * `npm test`: runs the tests, then says what was skipped and which packages bring what is missing. Arguments are passed on
 * to `node --test`; without any of them it is every test. With HOLDFAST_TEST_STRICT=1 a skipped test is a failure.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeSkips, type Skip } from "./skips.ts";

process.chdir(fileURLToPath(new URL("../", import.meta.url)));
const isStrict = process.env["HOLDFAST_TEST_STRICT"] === "1";
const given = process.argv.slice(2);
const place = mkdtempSync(join(tmpdir(), "holdfast-skips-"));
const skipsFile = join(place, "skips.jsonl");
const reporters = [
  ["spec", "stdout"],
  ["./scripts/skip-reporter.ts", skipsFile],
];
const words = [
  "--test",
  "--test-timeout=300000",
  ...(given.some((word) => word.startsWith("--test-concurrency")) ? [] : ["--test-concurrency=4"]),
  ...reporters.flatMap(([name, to]) => [`--test-reporter=${name}`, `--test-reporter-destination=${to}`]),
  ...given,
  ...(given.some((word) => !word.startsWith("-")) ? [] : ["test/**/*.test.ts"]),
];
try {
  const env = { NODE_COMPILE_CACHE: join(process.cwd(), "node_modules/.cache/compile"), ...process.env };
  const tests = spawn(process.execPath, words, { stdio: "inherit", env });
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => tests.kill(signal));
  process.on("SIGINT", () => {}); // the terminal tells the tests too, and they end in order
  const [code] = (await once(tests, "exit")) as [number | null];
  const skips = readFileSync(skipsFile, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Skip);
  console.log(describeSkips(skips, isStrict));
  process.exitCode = code ?? 1;
  if (isStrict && skips.length > 0) process.exitCode = 1;
} finally {
  rmSync(place, { recursive: true, force: true });
}
