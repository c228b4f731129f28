/** Somebody on `/node` who means harm: what he says twice, too early, too often or too much ends his connection and moves nothing else. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { NodeView } from "../../src/protocol/api/node.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { descriptorsOf } from "./helpers/baseline.ts";
import { LittleNode, type Manners } from "./helpers/little-node.ts";
import { Key, told } from "./helpers/told.ts";

leavesNothing();

const boundMs = 15_000;
const unprovenPerAddressMax = 20;

describe("an attack on the way in of nodes", { timeout: patiently(60_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    home = new Home(bestTier(), {
      // Three beats is what this process may be busy for with a flood before its own nodes count as silent.
      nodes: { leaseMs: 5000, beatMs: 1000 },
      connections: { unprovenPerAddressMax, authMs: 1500 },
    });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  const list = async () => (await gateway.rpc("node.list")) as NodeView[];
  const seen = async (id: string) => (await list()).find((node) => node.id === id);
  const arrive = async (manners: Manners = {}) => {
    const { invite } = (await gateway.rpc("node.invite")) as { invite: string };
    const node = new LittleNode(gateway.url, new Key(), { runs: [], invite, ...manners });
    await node.hears("welcome");
    await until("it is here", async () => (await seen(node.key.id))?.connected, { boundMs });
    return node;
  };

  it("by a second proof on one socket, of the same key or another, gets no second identity and loses the first", async () => {
    for (const key of [undefined, new Key()]) {
      await using node = await arrive();
      const challenge = await node.hears("challenge");
      const other = key === undefined ? node : Object.assign(Object.create(node) as LittleNode, { key });
      LittleNode.prototype.prove.call(other, challenge, { name: "second" });
      await node.closed;
      if (key !== undefined) assert.equal(await seen(key.id), undefined);
      await until("it is gone", async () => (await seen(node.key.id))?.connected === false, { boundMs });
    }
    // Both at once, before any answer: the second one counts as little.
    const [one, two] = [new Key(), new Key()];
    await using node = new LittleNode(gateway.url, one);
    const prove = LittleNode.prototype.prove.bind(node);
    node.prove = (challenge, manners) => {
      prove(challenge, manners);
      LittleNode.prototype.prove.call(
        Object.assign(Object.create(node) as LittleNode, { key: two }),
        challenge,
        manners,
      );
    };
    await node.closed;
    assert.equal(await seen(two.id), undefined);
  });

  it("by words of a node that nobody approved ends with the first of them", async () => {
    const run = told("n1-000000000000");
    const words: object[] = [
      { type: "reply", id: 1, result: { runs: 0 } },
      { type: "refusal", id: 1, code: "internal", message: "no" },
      { type: "state", request: "n1-000000000000", run },
      { type: "runs", runs: [{ request: "n1-000000000000", run }], more: false },
    ];
    for (const word of words) {
      await using node = new LittleNode(gateway.url, new Key(), { name: "early" });
      await node.hears("pending");
      node.say(word);
      await node.closed;
      assert.deepEqual(await gateway.rpc("run.list", { all: true }), [], JSON.stringify(word));
    }
  });

  for (const [what, bytes, complaint] of [
    ["larger than what was asked for", Buffer.alloc(300_000, "x").toString("base64"), "more output at once"],
    ["other than base64", "\u001b[2J", "output that is not base64"],
  ] as const) {
    it(`by a result that is ${what} is no result`, async () => {
      await using node = await arrive({
        name: `generous-${complaint.length}`,
        answer: (ask) => {
          const { run: id = "", request = "" } = ask.params as { run?: string; request?: string };
          if (ask.name === "exec.start") return told(request);
          if (ask.name !== "exec.read") return undefined;
          return { offset: 0, bytes, printed: 300_000, run: told(id), sizes: [] };
        },
      });
      const { id } = (await gateway.rpc("run.start", { host: `generous-${complaint.length}`, argv: ["true"] })) as {
        id: string;
      };
      await assert.rejects(
        gateway.rpc("run.log", { id, bytesMax: 1000 }),
        new RegExp(`answered what cannot be: ${complaint}`),
      );
      await node.closed;
    });
  }

  it("by never telling what it runs holds nobody up for longer than a lease", async () => {
    const { invite } = (await gateway.rpc("node.invite", { name: "mute" })) as { invite: string };
    await using node = new LittleNode(gateway.url, new Key(), { invite });
    await node.hears("welcome");
    await assert.rejects(gateway.rpc("run.start", { host: "mute", argv: ["true"] }), /node mute is not connected/);
    await node.closed;
  });

  it("by a list of runs without end is cut off while it is being told", async () => {
    const { invite } = (await gateway.rpc("node.invite")) as { invite: string };
    const key = new Key();
    await using node = new LittleNode(gateway.url, key, { invite });
    await node.hears("welcome");
    const command = "x".repeat(1_000_000);
    let said = 0;
    for (; said < 200 && node.ws.readyState === node.ws.OPEN; said += 1) {
      const request = `n1-${String(said).padStart(12, "0")}`;
      node.say({ type: "runs", runs: [{ request, run: told(request, { command }) }], more: true });
      await turn();
      await until("it is sent", () => node.ws.bufferedAmount === 0 || node.ws.readyState > node.ws.OPEN, { boundMs });
    }
    await node.closed;
    assert.equal((await seen(key.id))?.connected, false);
    assert.ok(said < 200, `${said} million characters were listened to`);
  });

  it("by a flood of connections that prove nothing crowds out its own, and no node", async () => {
    await using good = await arrive({ name: "good" });
    const atFirst = descriptorsOf(gateway.pids.front);
    const flood = Array.from({ length: 200 }, () => {
      const node = new LittleNode(gateway.url, new Key());
      node.prove = () => {};
      return node;
    });
    let held = 0;
    const watch = setInterval(() => (held = Math.max(held, descriptorsOf(gateway.pids.front))), 20);
    await until("as many as there is room for", () => flood.filter(({ heard }) => heard.length > 0).length >= 20, {
      boundMs,
    });
    // In the middle of it an honest one comes.
    await using late = await arrive({ name: "late" });
    assert.equal((await seen(good.key.id))?.connected, true);
    await Promise.all(flood.map(({ closed }) => closed));
    clearInterval(watch);
    assert.ok(held > atFirst, "they were there");
    const isBack = () => descriptorsOf(gateway.pids.front) <= atFirst + 2;
    await until("as many descriptors as before", isBack, { boundMs });
    assert.equal((await seen(late.key.id))?.connected, true);
    const known = (await list()).map(({ id }) => id);
    assert.ok(!flood.some(({ key }) => known.includes(key.id)), "who proves nothing leaves no trace");
  });

  it("by keys without number fills neither the list nor the memory", async () => {
    const keys = Array.from({ length: 40 }, () => new Key());
    const nodes: LittleNode[] = [];
    for (const key of keys) nodes.push(new LittleNode(gateway.url, key, { name: "many" }));
    const isSettled = (node: LittleNode) =>
      node.ws.readyState === node.ws.CLOSED || node.heard.some(({ type }) => type === "pending");
    await until("everybody was heard", () => nodes.every(isSettled), { boundMs });
    const waiting = async () => (await list()).filter((node) => node.waiting).length;
    await until("sixteen wait", async () => (await waiting()) <= 16, { boundMs });
    assert.ok((await waiting()) > 0);
    for (const node of nodes) await node[Symbol.asyncDispose]();
  });
});
