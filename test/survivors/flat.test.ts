/**
 * What is opened and ended leaves no trace in the processes that stay: rounds of sessions, measured in between. Memory says
 * something only after thousands of them, so it is looked at in the long run.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { isLong, many } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { lightServers, playRounds } from "../helpers/session-rounds.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const shape = { rounds: many(3, 10), sessions: many(40, 200), atOnce: 4 };
/**
 * Rounds in which code is compiled, pools fill and the front's heap grows to where V8 first collects it all (after some
 * 1,200 sessions); what they add is not a leak.
 */
const warmRounds = many(1, 7);
/**
 * V8 grows its heap before it collects it, which would hide a leak or look like one; the keeper is started with a small heap,
 * so that what grows is held. The front gets no flags from outside and keeps its breath. 600 sessions that each leave 50 KB
 * are 30 MB in either.
 */
const keeperFlags = ["--max-semi-space-size=1", "--max-old-space-size=32"];
const keeperBreathBytesMax = 8 * 1024 * 1024;
const frontBreathBytesMax = 28 * 1024 * 1024;

describe(`${shape.sessions} sessions a round leave processes, descriptors and memory flat`, { concurrency: 2 }, () => {
  leavesNothing();
  for (const tier of tiersToTest()) {
    test(`on the ${tier} tier`, { timeout: patiently(280_000) }, async (t) => {
      await using home = new Home(tier, { mcpServers: lightServers, stop: { stdinGraceMs: 300, termGraceMs: 300 } });
      await using gateway = await Gateway.start(home, keeperFlags);
      const facts = await playRounds(gateway, shape, (found) => t.diagnostic(JSON.stringify(found)));
      const [first, ...later] = facts.slice(warmRounds - 1);
      assert.ok(first !== undefined);
      for (const found of later) {
        assert.equal(found.processes, first.processes, "processes below the keeper");
        assert.equal(found.keeperDescriptors, first.keeperDescriptors, "the keeper's descriptors");
        assert.equal(found.frontDescriptors, first.frontDescriptors, "the front's descriptors");
      }
      if (!isLong) return;
      const last = facts.at(-1)!;
      assert.ok(
        last.keeperBytes - first.keeperBytes < keeperBreathBytesMax,
        `the keeper grew from ${first.keeperBytes} to ${last.keeperBytes}`,
      );
      assert.ok(
        last.frontBytes - first.frontBytes < frontBreathBytesMax,
        `the front grew from ${first.frontBytes} to ${last.frontBytes}`,
      );
    });
  }
});
