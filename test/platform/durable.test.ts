/** Files that must survive a power failure are written by the front too, to which Node's permission model denies fsync. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";

it("a front writes and creates durable files", () => {
  const place = mkdtempSync(join(tmpdir(), "holdfast-durable-"));
  try {
    const file = new URL("../../src/platform/self/private-file.ts", import.meta.url).href;
    const code = `const { createPrivate, writeDurable } = await import(${JSON.stringify(file)});
      const [made, written] = ["made", "written"].map((name) => ${JSON.stringify(`${place}/`)} + name);
      console.log(createPrivate(made, "one"), createPrivate(made, "two"));
      for (const text of ["old", "new"]) writeDurable(written, text);`;
    const words = [
      "--permission",
      "--allow-fs-read=*",
      `--allow-fs-write=${place}`,
      "--input-type=module",
      "--eval",
      code,
    ];
    const { stdout, stderr, status } = spawnSync(process.execPath, words, { encoding: "utf8" });
    assert.deepEqual([status, stdout], [0, "true false\n"], stderr);
    assert.deepEqual(readdirSync(place).toSorted(), ["made", "written"]);
    const [made, written] = ["made", "written"].map((name) => join(place, name));
    assert.deepEqual([readFileSync(made ?? "", "utf8"), readFileSync(written ?? "", "utf8")], ["one", "new"]);
    assert.equal(statSync(written ?? "").mode & 0o777, 0o600);
  } finally {
    rmSync(place, { recursive: true });
  }
});
