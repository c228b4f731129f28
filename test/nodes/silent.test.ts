/** A node that is connected and does not answer is waited for once and shortly; lists show what was known of it, and since when. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { NodeAsk } from "../../src/protocol/node/messages.ts";
import { Background } from "../helpers/background.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { LittleNode } from "./helpers/little-node.ts";
import { Key, told } from "./helpers/told.ts";

const boundMs = 10_000;
const process = { pid: 4711, ppid: 1, state: "S", rssBytes: 1, startedAt: 1_000_000, command: "true" };

leavesNothing();

describe("a node that is connected and silent", { timeout: patiently(60_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  let runs: Background;
  before(async () => {
    // A minute until the first beat after the one of the welcome.
    home = new Home(bestTier(), { nodes: { leaseMs: 600_000, beatMs: 60_000 } });
    gateway = await Gateway.start(home);
    runs = new Background(gateway);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  async function meet(name: string, silentTo: NodeAsk["name"][]): Promise<{ node: LittleNode; id: string }> {
    const { invite } = await runs.call("node.invite", {});
    const node = new LittleNode(gateway.url, new Key(), { runs: [], name, invite, silentTo });
    const here = async () => (await viewOf(name))?.connected;
    await until("it is here", here, { boundMs });
    const starting = runs.call("run.start", { host: name, argv: ["true"] });
    const start = await node.asked("exec.start");
    const { request: id } = start.params as { request: string };
    node.say({ type: "reply", id: start.id, result: told(id, { processes: [process] }) });
    await starting;
    return { node, id };
  }

  const viewOf = async (name: string) => (await runs.call("node.list", {})).find((one) => one.name === name);
  const runOf = async (id: string) => (await runs.call("run.list", {})).find((run) => run.id === id);
  const asksOf = (node: LittleNode) => node.heard.filter((word) => word.type === "ask" && word.name === "run.list");

  it("is asked for its list once, until it answers", async () => {
    const { node, id } = await meet("mute", ["run.list"]);
    await using _ = node;
    const asked = Date.now();
    for (let looks = 0; looks < 5; looks += 1) {
      const run = await runOf(id);
      assert.deepEqual([run?.state, run?.processes], ["running", [process]], "as it was last known");
      assert.ok(run?.silentSince !== null && Math.abs((run?.silentSince ?? 0) - asked) < 1000);
    }
    assert.equal(asksOf(node).length, 1);
    const view = await viewOf("mute");
    assert.deepEqual([view?.connected, view?.lastSeenAt], [true, view?.silentSince]);
    for (const words of [["nodes", "list"], ["ps"], ["process", "list"]])
      assert.match((await runCommand(home, words)).stdout, /no answer for /, words.join(" "));
    const [ask] = asksOf(node) as NodeAsk[];
    node.say({ type: "reply", id: ask?.id, result: [told(id, { processes: [] })] });
    await until("it answers", async () => (await viewOf("mute"))?.silentSince === null, { boundMs });
    await runOf(id);
    assert.equal(asksOf(node).length, 2, "asked again");
  });

  it("is not asked at all while it owes a beat", async () => {
    const { node, id } = await meet("beatless", ["lease.renew"]);
    await using _ = node;
    const isSilent = async () => typeof (await viewOf("beatless"))?.silentSince === "number";
    await until("it counts as silent", isSilent, { boundMs });
    assert.notEqual((await runOf(id))?.silentSince, null);
    assert.equal(asksOf(node).length, 0);
  });

  it("leaves the lists of others as they are", async () => {
    const silent = await meet("silent", ["run.list"]);
    const quick = await meet("quick", []);
    await using _ = silent.node;
    await using __ = quick.node;
    for (let looks = 0; looks < 3; looks += 1) {
      assert.notEqual((await runOf(silent.id))?.silentSince, null);
      assert.equal((await runOf(quick.id))?.silentSince, null);
    }
    assert.equal(asksOf(quick.node).length, 6, "two lists a round");
  });
});
