/** The front may die in the middle of everything: callers hear of it at once, the next front listens within a second. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import type { McpClient } from "../helpers/mcp-client.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { survivorsOf, waitForListed, waitForZero } from "../helpers/pids.ts";
import { asConfig, fixture, stubborn } from "../helpers/servers.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const lanes = 16;
const listeningAgainMs = 1000;
/** A caller hears of the death from its own socket; more than a moment is a hang. */
const heardMs = 1000;

/** Calls that must have been answered before the front is killed: by then all lanes are busy. */
const answeredMin = 500;

/** Calls one after the other until one fails; resolves with when and how. Tells of every answer. */
async function callUntilItFails(client: McpClient, answered: () => void): Promise<{ at: number; kind: string }> {
  for (let calls = 0; calls < 1_000_000; calls += 1) {
    const outcome = await client.callAndHang("echo", { message: "load" }, 20_000);
    if (outcome.kind !== "answer") return { at: performance.now(), kind: outcome.kind };
    answered();
  }
  throw new Error("the load never ended");
}

/** Pids that some run in `ps` owns. */
async function ownedPids(gateway: Gateway): Promise<Set<number>> {
  const runs = (await gateway.rpc("run.list", { all: false })) as { processes: { pid: number }[] }[];
  return new Set(runs.flatMap(({ processes }) => processes.map(({ pid }) => pid)));
}

describe("front kill -9 under load", () => {
  leavesNothing();
  for (const tier of tiersToTest()) {
    test(
      `on the ${tier} tier: listening again in under a second, no hang, no survivor`,
      { timeout: patiently(60_000) },
      async (t) => {
        await using home = new Home(tier);
        const polite = { command: process.execPath, args: [fixture("polite-server.ts")] };
        const mcpServers = { polite, ...asConfig({ stubborn: stubborn(home.pidFile) }) };
        home.configure({ mcpServers, stop: { stdinGraceMs: 300, termGraceMs: 300 } });
        const startedAt = performance.now();
        await using gateway = await Gateway.start(home);
        // On a machine that has much else to do a whole start says how slow everything is.
        const boundMs = Math.max(listeningAgainMs, 2 * (performance.now() - startedAt));
        using busy = gateway.mcp("polite");
        using stuck = gateway.mcp("stubborn");
        await Promise.all([busy.initialize(), stuck.initialize()]);
        await waitForListed(home.pidFile, 5, 20_000);

        const hanging = [stuck.callAndHang("hang"), busy.callAndHang("hang")];
        const enough = Promise.withResolvers<void>();
        let calls = 0;
        const answered = () => {
          calls += 1;
          if (calls === answeredMin) enough.resolve();
        };
        const load = Array.from({ length: lanes }, () => callUntilItFails(busy, answered));
        await Promise.race([enough.promise, Promise.all(load)]);
        const { front } = gateway.pids;
        const killedAt = performance.now();
        process.kill(front, "SIGKILL");
        await gateway.renewed({ front });
        const listeningMs = Math.round(performance.now() - killedAt);
        const failures = await Promise.all(load);
        const outcomes = await Promise.all(hanging);

        const heard = Math.round(Math.max(...failures.map(({ at }) => at - killedAt)));
        t.diagnostic(
          `${calls} calls answered before; the last caller heard after ${heard} ms; listening again after ${listeningMs} ms`,
        );
        assert.ok(calls >= answeredMin, `only ${calls} calls were answered before the end`);
        assert.ok(listeningMs < boundMs, `listening again after ${listeningMs} ms, not within ${Math.round(boundMs)}`);
        assert.ok(heard < heardMs, `a caller heard after ${heard} ms`);
        for (const { kind } of [...failures, ...outcomes])
          assert.ok(kind === "closed" || kind === "error" || kind === "http", kind);

        // Whoever still lives has an owner that `ps` shows; whoever has none is a survivor.
        const owned = await ownedPids(gateway);
        assert.deepEqual(
          survivorsOf(home.pidFile).filter(({ pid }) => !owned.has(pid)),
          [],
        );
        await gateway.stop();
        assert.equal(survivorsOf(home.pidFile).length, 0);
        await waitForZero(home.pidFile, 100);
      },
    );
  }
});
