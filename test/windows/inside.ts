/** Runs a suite of test/windows/inside/ in node.exe, and shows each of its tests as a test here. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { patiently } from "../helpers/until.ts";
import type { NodeMajor } from "./cache.ts";
import type { WindowsMachine } from "./machine.ts";
import type { Line } from "./reporter.ts";

export interface InsideOptions {
  readonly node?: NodeMajor;
  readonly boundMs?: number;
  /** Fewest tests, so that an empty suite fails. */
  readonly testsMin: number;
  readonly env?: Record<string, string>;
}

/** `file`: below test/windows/inside/. */
export async function playInside(
  machine: WindowsMachine,
  t: TestContext,
  file: string,
  { node = "26", boundMs = 180_000, testsMin, env = {} }: InsideOptions,
): Promise<void> {
  const name = `results-${node}-${file}.jsonl`;
  const words = [
    "--disable-warning=ExperimentalWarning",
    "--test-reporter=file:///C:/holdfast/test/windows/reporter.ts",
    `--test-reporter-destination=C:\\${name}`,
    `C:\\holdfast\\test\\windows\\inside\\${file}`,
  ];
  const { code, output } = await machine.node(words, { node, env }).ended(patiently(boundMs));
  const results = join(machine.drive, name);
  const text = existsSync(results) ? readFileSync(results, "utf8") : "";
  const lines = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line)
    .filter(({ isSuite, failure }) => !isSuite || (failure !== null && !failure.includes("subtest")));
  for (const { name: test, skip, failure } of lines)
    await t.test(test, { skip }, () => {
      if (failure !== null) assert.fail(failure);
    });
  assert.ok(lines.length >= testsMin, `${lines.length} tests of at least ${testsMin} were played: ${output}`);
  assert.equal(code, 0, output);
}
