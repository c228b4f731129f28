/** The self-test of a preview asks for its table: it is how its makers learn what holds on the system itself. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { describePreviews } from "../../src/cli/selftest.ts";
import type { Result, TierName, Verdict } from "../../src/selftest/types.ts";

const result = (tier: TierName, verdict: Verdict): Result => {
  const played = { processes: 2, left: [], ms: 1 };
  return { kind: "attack", name: "a double fork", tier, verdict, ...played };
};

it("whatever the verdict, a preview that was played asks for a report, and no other tier does", () => {
  assert.deepEqual(describePreviews([result("cgroup", "held"), result("subreaper", "left")]), []);
  assert.deepEqual(describePreviews([result("chain", "not available")]), []);
  for (const verdict of ["held", "best effort", "left", "failed"] as const)
    assert.deepEqual(describePreviews([result("chain", verdict), result("coalition", "not available")]), [
      "`chain` is a preview that was never tried on this system by its makers: please report this table, whatever it says.",
    ]);
  const both = describePreviews([result("chain", "held"), result("chain", "held"), result("coalition", "held")]);
  assert.match(both.join(), /^`chain` and `coalition` are previews that were never/);
});
