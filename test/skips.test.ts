/** `npm test` on a machine that lacks something: what is missing is skipped, said last, and a failure in strict mode. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { describeSkips } from "../scripts/skips.ts";
import { root } from "./helpers/tiers.ts";

let place = "";
before(() => {
  place = mkdtempSync(join(tmpdir(), "holdfast-skips-test-"));
});
after(() => rmSync(place, { recursive: true }));

/** A run of the given tests, as `npm test` makes it. */
function play(tests: string, given: Record<string, string> = {}): { code: number | null; lines: string[] } {
  const file = join(place, "some.test.mjs");
  writeFileSync(file, `import { describe, it } from "node:test";\n${tests}\n`);
  const env: NodeJS.ProcessEnv = { ...process.env, HOLDFAST_TEST_STRICT: "", ...given };
  delete env["NODE_TEST_CONTEXT"]; // what is run is no part of this very run
  const { status, stdout } = spawnSync(process.execPath, [join(root, "scripts/test.ts"), file], {
    encoding: "utf8",
    env,
    timeout: 60_000,
  });
  return { code: status, lines: stdout.trimEnd().split("\n") };
}

const skipped = 'it("is drawn by fish", { skip: "no fish on PATH (apt-get install fish)" });';
const suite =
  'describe("far", { skip: "no sshd, ip on PATH (apt-get install iproute2 openssh-server)" }, () => { it("a", () => {}); });';
const late = 'it("finds out", (t) => t.skip("no network"));';
const good = 'it("holds", () => {});';

describe("npm test", () => {
  it("passes with what is skipped, and names number and packages in its last line", () => {
    const { code, lines } = play([skipped, suite, late, good].join("\n"));
    assert.equal(code, 0);
    assert.equal(lines.at(-1), "3 skipped; for more of them: apt-get install fish iproute2 openssh-server");
    assert.ok(lines.includes("skipped, no network:"));
    assert.ok(
      lines.some((line) => /^ℹ pass 1$/.test(line)),
      "the test runner's own summary is there",
    );
  });

  it("fails for a skip in strict mode, and only then", () => {
    for (const tests of [skipped, suite, late]) {
      assert.equal(play(`${tests}\n${good}`).code, 0);
      assert.equal(play(`${tests}\n${good}`, { HOLDFAST_TEST_STRICT: "1" }).code, 1);
    }
    const { code, lines } = play(good, { HOLDFAST_TEST_STRICT: "1" });
    assert.deepEqual([code, lines.at(-1)], [0, "no test was skipped"]);
  });

  it("fails for a failure, whatever is skipped", () => {
    const { code, lines } = play(`${skipped}\nit("does not hold", () => { throw new Error("no"); });`);
    assert.equal(code, 1);
    assert.match(lines.at(-1) ?? "", /^1 skipped; /);
  });
});

it("a summary names each reason once, with its tests, and no packages where none would help", () => {
  const skip = (name: string, reason: string) => ({ file: "test/a.test.ts", name, reason });
  const said = describeSkips([skip("one", "no rights"), skip("two", "no rights")], true);
  assert.deepEqual(said.split("\n"), [
    "skipped, no rights:",
    "  test/a.test.ts: one",
    "  test/a.test.ts: two",
    "2 skipped, which HOLDFAST_TEST_STRICT makes a failure",
  ]);
});

describe("a program that a test needs", () => {
  const reasonUnder = (path: string) => {
    const code = `
      const { needs } = await import(${JSON.stringify(join(root, "test/helpers/needs.ts"))});
      console.log(needs("fish", "busybox"));
      console.log(needs("sshd"));`;
    const words = ["--input-type=module", "--eval", code];
    return spawnSync(process.execPath, words, { encoding: "utf8", env: { PATH: path } }).stdout;
  };

  it("is looked for along PATH, and in the sbin beside a bin; what is missing is named with its package", () => {
    const [bin, sbin] = [join(place, "bin"), join(place, "sbin")];
    for (const directory of [bin, sbin]) mkdirSync(directory);
    const missing = "no fish, busybox on PATH (apt-get install fish busybox)";
    assert.equal(reasonUnder(bin), `${missing}\nno sshd on PATH (apt-get install openssh-server)\n`);
    for (const file of [join(bin, "fish"), join(sbin, "sshd")]) writeFileSync(file, "#!/bin/sh\n", { mode: 0o755 });
    assert.equal(reasonUnder(bin), "no busybox on PATH (apt-get install busybox)\nfalse\n");
    chmodSync(join(bin, "fish"), 0o644);
    assert.match(reasonUnder(bin), /^no fish, busybox /);
  });
});
