/** Restarts, reloads and stops that overlap: however they are asked for, one front lives at a time and nothing is forgotten. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { exchange } from "../helpers/http.ts";
import { sample } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive, statOf, waitForListed } from "../helpers/pids.ts";
import { asConfig, stubborn } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

interface Status {
  front: { pid: number; restarts: number };
  crashes: { who: string }[];
  runs: number;
}

const stop = { stdinGraceMs: 200, termGraceMs: 200 };

function post(gateway: Gateway, body: unknown): Promise<unknown> {
  const headers = { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify(body), boundMs: 30_000 } as const;
  return exchange(`${gateway.url}/rpc`, request).catch(() => undefined); // the front went before it could answer
}

const call = (id: number, method: string, params: object = {}) => ({ jsonrpc: "2.0", id, method, params });

/** Approves a node by hand in the stopped gateway's book: an approval is what a lost book loses. */
function approveByHand(home: Home): void {
  const book = new DatabaseSync(join(home.stateDir, "front", "nodes.db"));
  book.exec(`insert into nodes values ('n1', 'key', 'mill', 'approved', '{}', 1, 1, 1)`);
  book.close();
}

async function sessionCount(gateway: Gateway): Promise<number> {
  return ((await gateway.rpc("session.list")) as unknown[]).length;
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return ""; // it ended since it was listed
  }
}

/** The keeper's children that are fronts. */
function liveFronts(keeper: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => statOf(pid)?.ppid === keeper && commandLine(pid).includes("gateway/main"));
}

describe("restarts that overlap", { timeout: patiently(300_000) }, () => {
  leavesNothing();

  const ways: Record<string, (gateway: Gateway) => Promise<unknown>> = {
    "in one batch": (gateway) =>
      post(gateway, [call(1, "gateway.restart", { all: false }), call(2, "gateway.restart", { all: false })]),
    "on two connections": (gateway) =>
      Promise.all([
        post(gateway, call(1, "gateway.restart", { all: false })),
        post(gateway, call(2, "gateway.restart", { all: false })),
      ]),
    "five in one batch, with a reload between": (gateway) =>
      post(
        gateway,
        [1, 2, 3, 4, 5].map((id) => (id === 3 ? call(id, "mcp.reload") : call(id, "gateway.restart", { all: false }))),
      ),
  };
  for (const [how, ask] of sample(Object.entries(ways))) {
    it(`start one front, and keep runs, sessions and approved nodes: ${how}`, async () => {
      await using home = new Home(bestTier());
      home.configure({ mcpServers: asConfig({ stubborn: stubborn(home.pidFile) }), stop });
      const first = await Gateway.start(home);
      await first.stop();
      approveByHand(home);
      await using gateway = await Gateway.start(home);
      using client = gateway.mcp("stubborn");
      await client.initialize();
      await waitForListed(home.pidFile, 5, 20_000);
      const { front, keeper } = gateway.pids;
      let most = 0;
      const counting = setInterval(() => (most = Math.max(most, liveFronts(keeper).length)), 10);
      await ask(gateway);
      await gateway.renewed({ front });
      // A second front that came late would be here by then.
      await until("the sessions are those from before", async () => (await sessionCount(gateway)) === 1, {
        boundMs: 10_000,
      });
      clearInterval(counting);
      const status = (await gateway.rpc("gateway.status")) as Status;
      assert.equal(most, 1, "fronts that lived at one time");
      assert.deepEqual([status.front.restarts, status.runs, status.crashes.length], [1, 1, 0]);
      assert.deepEqual(liveFronts(keeper), [status.front.pid]);
      const nodes = (await gateway.rpc("node.list")) as { name: string; state: string }[];
      assert.deepEqual(
        nodes.map(({ name, state }) => [name, state]),
        [["mill", "approved"]],
      );
      const aside = readdirSync(join(home.stateDir, "front")).filter((name) => name.includes("unusable"));
      assert.deepEqual(aside, []);
      await gateway.stop();
      assert.ok(!isLive({ pid: status.front.pid }), "the front went with its keeper");
    });
  }

  it("in one batch, each of the four with each: one front, and a stop wins over a restart of everything, that over one of the front", async () => {
    await using home = new Home(bestTier());
    const asked = {
      restart: ["gateway.restart", { all: false }],
      "restart --all": ["gateway.restart", { all: true }],
      stop: ["gateway.stop", {}],
      reload: ["mcp.reload", {}],
    } as const;
    const names = Object.keys(asked) as (keyof typeof asked)[];
    let gateway = await Gateway.start(home);
    const pairs = names.flatMap((one, at) => sample(names, at).map((other) => [one, other] as const));
    for (const [first, second] of pairs) {
      const [before, keeper] = [{ front: gateway.pids.front }, { pid: gateway.pids.keeper }];
      const { epoch } = gateway;
      await post(
        gateway,
        [first, second].map((name, index) => call(index + 1, asked[name][0], asked[name][1])),
      );
      const pair = [first, second];
      const what = pair.join(", then ");
      if (pair.includes("stop")) {
        await until(`the keeper has exited: ${what}`, () => !isLive(keeper), { boundMs: 20_000 });
        assert.equal(isLive({ pid: before.front }), false, what);
        gateway = await Gateway.start(home);
        continue;
      }
      if (pair.includes("restart --all")) await gateway.renewed({ keeperEpoch: epoch });
      else if (pair.includes("restart")) await gateway.renewed(before);
      const { front, crashes } = (await gateway.rpc("gateway.status")) as Status;
      assert.deepEqual(liveFronts(keeper.pid), [front.pid], what);
      assert.deepEqual(crashes, [], what);
    }
    await gateway.stop();
  });
});
