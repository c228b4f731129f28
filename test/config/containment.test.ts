/** The config asks for a kind of containment, and is told where that does not exist. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { configSchema } from "../../src/config/schema.ts";
import { containmentProblem, requiredTier } from "../../src/platform/containment.ts";

it("asks for the best tier of the machine by default, which requires none", () => {
  assert.equal(configSchema.parse({}).containment, "best");
  assert.equal(requiredTier("best"), undefined);
  assert.equal(requiredTier("coalition"), "coalition");
});

it(
  "refuses launchd jobs on systems without launchd, and names the remedy",
  { skip: process.platform === "darwin" },
  () => {
    const { error } = configSchema.safeParse({ containment: "coalition" });
    assert.deepEqual(
      error?.issues.map(({ path }) => path),
      [["containment"]],
    );
    assert.match(error?.issues[0]?.message ?? "", /works on macOS only: remove the key/);
  },
);

it("allows launchd jobs on macOS", () => {
  assert.equal(containmentProblem("coalition", "darwin"), undefined);
  assert.match(containmentProblem("coalition", "win32") ?? "", /macOS only/);
});

it("refuses a kind that it does not know", () => {
  assert.throws(() => configSchema.parse({ containment: "chain" }), /containment/);
});
