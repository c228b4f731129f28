/** `npm start` gives the gateway a copy of the example, so that what is added to it stays out of every tracked file. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leavesNothing } from "./helpers/no-leaks.ts";
import { root } from "./helpers/tiers.ts";

leavesNothing();
const example = join(root, "examples/holdfast.json");

describe("the config of npm start", () => {
  it("is a file that git ignores", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: { start: string } };
    const config = /--config (\S+)/.exec(scripts.start)?.[1] ?? "";
    assert.notEqual(config, "");
    const ignored = readFileSync(join(root, ".gitignore"), "utf8").split("\n");
    assert.ok(ignored.includes(`${config.split("/")[0]}/`), `${config} is not ignored`);
    assert.match(scripts.start, /scripts\/example-config\.ts/);
  });

  it("is made of the example once; what holdfast add and remove change is kept, and the example stays as it is", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-start-"));
    try {
      const copy = join(directory, "own", "holdfast.json");
      const before = readFileSync(example, "utf8");
      const start = () => spawnSync(process.execPath, [join(root, "scripts/example-config.ts"), copy]).status;
      const holdfast = (...words: string[]) =>
        spawnSync(process.execPath, [join(root, "dist/main.js"), "--state", directory, "--config", copy, ...words])
          .status;
      assert.equal(start(), 0);
      assert.equal(readFileSync(copy, "utf8"), before);
      assert.equal(holdfast("add", "mine", "--", "sh"), 0);
      assert.equal(holdfast("remove", "everything"), 0);
      const edited = readFileSync(copy, "utf8");
      assert.match(edited, /"mine"/);
      assert.doesNotMatch(edited, /"everything"/);
      assert.equal(start(), 0);
      assert.equal(readFileSync(copy, "utf8"), edited);
      assert.equal(readFileSync(example, "utf8"), before);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
