/** What a call needed goes with it: the front's memory does not depend on how many calls it has carried. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";

leavesNothing();

/** Calls that each kept the next one alive took 8 MB (HTTP) to 20 MB (batches). */
const growthBytesMax = 2_000_000;

describe("a call that is over", () => {
  for (const kind of ["http", "line", "batch"])
    it(`is collected while it is young: ${kind}`, () => {
      const ran = spawnSync(process.execPath, ["--max-semi-space-size=2", fixture("many-calls.ts"), kind], {
        encoding: "utf8",
      });
      assert.equal(ran.stderr, "");
      assert.equal(ran.status, 0);
      assert.ok(Number(ran.stdout) < growthBytesMax, `the old generation grew by ${ran.stdout} bytes`);
    });
});
