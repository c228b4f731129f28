/** Restarts leave no second copy of anything: after each the counts are those of one start. */
import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { describe, test } from "node:test";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { runPids } from "../helpers/front-kills.ts";
import { many } from "../helpers/long.ts";
import type { McpClient } from "../helpers/mcp-client.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { look } from "../helpers/session-rounds.ts";
import { bestTier } from "../helpers/tiers.ts";
import { until } from "../helpers/until.ts";

const names = ["one", "two", "three", "four", "five"];
const rounds = many(2, 4);
const light = { command: "sh", args: [fixture("light-server.sh")] };
const settleBoundMs = 10_000;

interface Counts {
  processes: number;
  descriptors: number;
  sockets: number;
  marked: number;
}

function socketsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`).startsWith("socket:");
    } catch {
      return false; // closed between the two looks
    }
  }).length;
}

function countAll(gateway: Gateway): Counts {
  const { processes, keeperDescriptors, frontDescriptors } = look(gateway);
  const { keeper, front } = gateway.pids;
  const sockets = socketsOf(keeper) + socketsOf(front);
  return {
    processes,
    descriptors: keeperDescriptors + frontDescriptors,
    sockets,
    marked: gateway.home.marked().length,
  };
}

/**
 * Waits until the counts are these, and says what they are if they do not become so. One descriptor less is no leak: what
 * the starter had left open to the gateway is closed when it replaces its own program, as `restart --all` does.
 */
async function settlesAt(gateway: Gateway, wanted: Counts, when: string): Promise<void> {
  const found = () => {
    const counts = countAll(gateway);
    return { ...counts, descriptors: counts.descriptors + (counts.descriptors === wanted.descriptors - 1 ? 1 : 0) };
  };
  const isThere = () => JSON.stringify(found()) === JSON.stringify(wanted);
  await until(when, isThere, { boundMs: settleBoundMs, everyMs: 50 }).catch(() =>
    assert.deepEqual(found(), wanted, when),
  );
}

async function openAll(gateway: Gateway): Promise<McpClient[]> {
  const clients = names.map((name) => gateway.mcp(name));
  for (const client of clients) await client.initialize();
  return clients;
}

/** Every session answers; then its client's sockets are closed, so that they do not count. */
async function useAll(clients: McpClient[]): Promise<void> {
  for (const client of clients) {
    assert.equal((await client.call("echo")).error, undefined);
    client.vanish();
  }
}

describe("restarts", () => {
  leavesNothing();
  test(`five servers, ${rounds} times restart and ${rounds} times restart --all: the counts of one start`, async (t) => {
    const mcpServers = Object.fromEntries(names.map((name) => [name, light]));
    await using home = new Home(bestTier(), { mcpServers, stop: { stdinGraceMs: 300, termGraceMs: 300 } });
    await using gateway = await Gateway.start(home);
    const restart = async (...words: string[]) => {
      const old = words.length === 0 ? { front: gateway.pids.front } : { keeperEpoch: gateway.epoch };
      const { code, stderr } = await runCommand(home, ["restart", ...words]);
      assert.equal(code, 0, stderr);
      await gateway.renewed(old);
    };
    let clients = await openAll(gateway);
    await useAll(clients);
    let last = countAll(gateway);
    const isQuiet = () => {
      const before = JSON.stringify(last);
      last = countAll(gateway);
      return JSON.stringify(last) === before;
    };
    await until("the counts stand still", isQuiet, { boundMs: settleBoundMs, everyMs: 300 });
    t.diagnostic(JSON.stringify(last));

    const pids = await runPids(gateway);
    for (let round = 1; round <= rounds; round += 1) {
      await restart();
      assert.deepEqual(await runPids(gateway), pids, "restart keeps the servers");
      await useAll(clients);
      await settlesAt(gateway, last, `after restart ${round}`);
    }
    for (let round = 1; round <= rounds; round += 1) {
      await restart("--all");
      assert.deepEqual(await runPids(gateway), [], "restart --all ends every server");
      clients = await openAll(gateway);
      await useAll(clients);
      await settlesAt(gateway, last, `after restart --all ${round}`);
    }
  });
});
