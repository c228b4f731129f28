/** A start that takes its time over there, since a person is asked first, and is not wanted any more when it happens. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NodeAsk } from "../../src/protocol/node/messages.ts";
import { HoldfastClient } from "../../src/client/client.ts";
import { Background } from "../helpers/background.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { LittleNode } from "./helpers/little-node.ts";
import { Key, told, toldEnded } from "./helpers/told.ts";

const boundMs = 10_000;

describe("a start that is answered late", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("is ended as soon as it happens when its session ended meanwhile", async () => {
    await using home = new Home(bestTier(), { nodes: { leaseMs: 5000, beatMs: 1000 } });
    await using gateway = await Gateway.start(home);
    const runs = new Background(gateway);
    const { invite } = await runs.call("node.invite", {});
    await using node = new LittleNode(gateway.url, new Key(), { runs: [], name: "far", invite });
    const here = async () => (await runs.call("node.list", {})).some(({ connected }) => connected);
    await until("it is here", here, { boundMs });
    await using client = await HoldfastClient.connect({ state: home.stateDir });
    const session = await client.openSession();
    const starting = runs.call("run.start", { host: "far", argv: ["true"], sessionId: session.id });
    const start = await node.asked("exec.start");
    const { request: id } = start.params as { request: string };
    let isStarted = false;
    const ends: string[] = [];
    node.ws.on("message", (data: Buffer) => {
      const word = JSON.parse(data.toString()) as NodeAsk;
      if (word.type !== "ask" || word.name !== "exec.end") return;
      // As a real node does: until it is started it has no such run.
      if (!isStarted) return node.say({ type: "refusal", id: word.id, code: "run_unknown", message: "not yet" });
      ends.push(word.params.reason);
      const run = toldEnded(id, { endReason: word.params.reason });
      node.say({ type: "state", request: id, run });
      node.say({ type: "reply", id: word.id, result: run });
    });
    const holds = async () => (await runs.call("session.list", {})).some((one) => one.runs.includes(id));
    await until("its session holds it", holds, { boundMs });
    // It says that it could not see to the end of all.
    await assert.rejects(client.endSession(session.id), { code: "survivors" });
    isStarted = true;
    node.say({ type: "reply", id: start.id, result: told(id) });
    await starting;
    const over = async () => (await runs.call("run.list", { all: true })).find((run) => run.state === "exited");
    assert.equal((await until("it is over", over, { boundMs })).endReason, "session-ended");
    assert.deepEqual(ends, ["session-ended"]);
  });
});
