/** The front may be killed as often as one likes: the same servers live on, and nothing grows. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { playKills } from "../helpers/front-kills.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { many } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

/** The whole size, 20 kills with 20 clients, is `bench/adoption.ts`. */
const shape = { clients: 5, servers: ["a", "b", "c"], kills: many(4, 6) };
/** On a quiet machine; on a busy one, so many times what the whole gateway took to start on it. */
const answeredMsMax = 1000;
const startsMax = 3;
/** What the keeper's heap may breathe between the second kill and the last; it is held small, so that a leak shows. */
const keeperFlags = ["--max-semi-space-size=1", "--max-old-space-size=32"];
const breathBytesMax = 8 * 1024 * 1024;

const light = { command: "sh", args: [fixture("light-server.sh")] };
const mcpServers = Object.fromEntries(shape.servers.map((name) => [name, light]));

describe("front kill -9 in a loop, with calls in flight", () => {
  leavesNothing();
  for (const tier of tiersToTest()) {
    test(
      `on the ${tier} tier: the same processes before and after, nothing leaked`,
      { timeout: patiently(120_000) },
      async (t) => {
        const limits = { frontRestartsMax: 1000 };
        await using home = new Home(tier, { mcpServers, limits, stop: { stdinGraceMs: 300, termGraceMs: 300 } });
        await using gateway = await Gateway.start(home, keeperFlags);
        const { facts, before, after } = await playKills(gateway, shape, (found) =>
          t.diagnostic(JSON.stringify(found)),
        );
        assert.equal(before.length, shape.clients * shape.servers.length);
        assert.deepEqual(after, before);
        // One kill may fall together with a neighbour's rush on the machine; the usual one says what the gateway does.
        const answered = facts.map(({ answeredMs }) => answeredMs).toSorted((a, b) => a - b);
        const usual = answered[Math.floor(answered.length / 2)] ?? Number.POSITIVE_INFINITY;
        const bound = Math.max(answeredMsMax, startsMax * gateway.startMs);
        assert.ok(usual < bound, `sessions answered again after ${answered.join(", ")} ms, not ${bound}`);
        const [, first, ...later] = facts;
        for (const found of later) {
          assert.equal(found.processes, first?.processes, "processes below the keeper");
          assert.equal(found.keeperDescriptors, first?.keeperDescriptors, "the keeper's descriptors");
        }
        const grown = (facts.at(-1)?.keeperBytes ?? 0) - (first?.keeperBytes ?? 0);
        assert.ok(grown < breathBytesMax, `the keeper grew by ${grown} bytes`);
      },
    );
  }
});
