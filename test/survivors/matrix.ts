/** The promise of this house as a table: every way in which an owner can end, on one tier, and nobody left. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sample } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { play, scenarios } from "../helpers/scenarios.ts";
import { everything, stubborn } from "../helpers/servers.ts";
import { type TierName, tierSkip } from "../helpers/tiers.ts";

/** One scenario with its start, its sessions and its end. */
const scenarioBoundMs = 60_000;

export function nobodySurvivesOn(tier: TierName): void {
  const skip = tierSkip(tier);
  describe(`nobody outlives its owner on the ${tier} tier`, { skip, concurrency: 3 }, () => {
    leavesNothing();
    for (const scenario of sample(scenarios, tier === "cgroup" ? 0 : 1)) {
      test(scenario.name, { timeout: scenarioBoundMs }, async (t) => {
        const played = await play(scenario, tier, (home) => ({
          stubborn: stubborn(home.pidFile),
          everything: everything(home.pidFile),
        }));
        const left = played.survivors.map(({ role }) => role).join(", ");
        t.diagnostic(
          `${played.survivors.length} of ${played.listed} survive${left === "" ? "" : ` (${left})`}, ${played.ms} ms`,
        );
        assert.deepEqual(played.broken, []);
        // The client must learn that its call is over: an error or the end of the connection, and neither an answer nor silence.
        const ends = played.outcomes.map(({ kind }) => kind);
        assert.ok(
          ends.length === 2 && !ends.includes("hang") && !ends.includes("answer"),
          JSON.stringify(played.outcomes),
        );
      });
    }
  });
}
