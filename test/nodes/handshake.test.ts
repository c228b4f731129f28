/** Who may be a node: a key that proves itself over this connection's challenge, and an admin, or an invitation, that lets it in. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { NodeView } from "../../src/protocol/api/node.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { LittleNode, type Manners } from "./helpers/little-node.ts";
import { Key } from "./helpers/told.ts";

leavesNothing();

describe("a node's way in", { timeout: patiently(60_000), concurrency: 4 }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    home = new Home(bestTier(), { nodes: { leaseMs: 3000, beatMs: 500 } });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  const call = (method: string, params: object = {}) => gateway.rpc(method, params);
  const seen = async (id: string) => ((await call("node.list")) as NodeView[]).find((node) => node.id === id);
  const invite = async () => ((await call("node.invite")) as { invite: string }).invite;
  const connect = (key: Key, manners: Manners = {}) => new LittleNode(gateway.url, key, { runs: [], ...manners });
  const isHere = (id: string, here = true) =>
    until(`node ${id} is ${here ? "here" : "gone"}`, async () => (await seen(id))?.connected === here, {
      boundMs: 10_000,
    });
  /** An approved node that is here. */
  const arrive = async (key: Key, manners: Manners = {}) => {
    const node = connect(key, { invite: await invite(), ...manners });
    await node.hears("welcome");
    await isHere(key.id);
    return node;
  };

  it("ends in waiting for an admin, and unapproved it is asked nothing and may say nothing", async () => {
    const key = new Key();
    await using node = connect(key, { name: "waits" });
    assert.equal((await node.hears("pending")).node, key.id);
    const shown = await seen(key.id);
    assert.deepEqual([shown?.name, shown?.state, shown?.waiting, shown?.connected], ["waits", "pending", true, false]);
    await assert.rejects(call("run.start", { host: "waits", argv: ["true"] }), /waits is pending, not approved/);
    node.say({ type: "runs", runs: [], more: false });
    await node.closed;
    assert.deepEqual(
      node.heard.map(({ type }) => type),
      ["challenge", "pending"],
    );
    assert.equal((await seen(key.id))?.waiting, false);
  });

  it("is open the moment an admin approves, over the connection that waits", async () => {
    const key = new Key();
    await using node = connect(key, { name: "approved" });
    await node.hears("pending");
    await call("node.approve", { node: key.id.slice(0, 8) });
    const { name, leaseMs, beatMs } = await node.hears("welcome");
    assert.deepEqual([name, leaseMs, beatMs], ["approved", 3000, 500]);
    await isHere(key.id);
    await using again = connect(key, { name: "other", instance: "f".repeat(16) });
    assert.equal((await again.hears("refused")).code, "node_duplicate", "the one that lives stays");
    assert.equal((await seen(key.id))?.name, "approved", "a name is the admin's to change");
  });

  it("is shut by a rejection and by a revocation, for the live connection and each later one", async () => {
    const [rejected, revoked] = [new Key(), new Key()];
    await using one = connect(rejected);
    await one.hears("pending");
    await call("node.reject", { node: rejected.id });
    assert.equal((await one.hears("refused")).code, "node_rejected");
    await using two = await arrive(revoked);
    await call("node.revoke", { node: revoked.id });
    assert.equal((await two.hears("refused")).code, "node_revoked");
    await Promise.all([one.closed, two.closed]);
    for (const [key, code] of [
      [rejected, "node_rejected"],
      [revoked, "node_revoked"],
    ] as const) {
      await using later = connect(key, { invite: await invite() });
      assert.equal((await later.hears("refused")).code, code, "no invitation undoes it");
    }
  });

  it("knows nothing any more of whom an admin forgot: who waited, or was rejected, is a new one", async () => {
    const key = new Key();
    await using waiting = connect(key);
    await waiting.hears("pending");
    assert.equal(((await call("node.forget", { node: key.id })) as { waiting: boolean }).waiting, true);
    await waiting.closed;
    assert.equal(await seen(key.id), undefined);
    await using rejected = connect(key);
    await rejected.hears("pending");
    await call("node.reject", { node: key.id });
    await rejected.closed;
    await call("node.forget", { node: key.id });
    await using again = connect(key);
    await again.hears("pending");
    assert.equal((await seen(key.id))?.state, "pending");
  });

  it("is opened by an invitation once, and by no other word", async () => {
    const secret = await invite();
    await using _first = await arrive(new Key(), { invite: secret });
    for (const wrong of [secret, "x".repeat(32)]) {
      const key = new Key();
      await using late = connect(key, { invite: wrong });
      assert.equal((await late.hears("refused")).code, "invite_invalid");
      assert.equal(await seen(key.id), undefined, "who comes with a wrong invitation leaves no trace");
    }
    const over = ((await call("node.invite", { validMs: 1000 })) as { invite: string }).invite;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await using late = connect(new Key(), { invite: over });
    assert.equal((await late.hears("refused")).code, "invite_invalid");
  });

  it("needs the signature of the very key over the very challenge", async () => {
    const [key, other] = [new Key(), new Key()];
    const earlier = connect(key);
    const { nonce } = await earlier.hears("challenge");
    await earlier[Symbol.asyncDispose]();
    const lies: [string, Manners][] = [
      ["another's id", { lie: { publicKey: other.publicKey } }],
      ["another certificate", { fingerprint: "ab".repeat(32) }],
      ["an invitation that was not signed", { lie: { invite: await invite() } }],
      ["another name", { lie: { name: "changed" } }],
      ["no signature", { lie: { signature: "A".repeat(86) } }],
    ];
    for (const [what, manners] of lies) {
      await using node = connect(key, manners);
      assert.equal((await node.hears("refused")).code, "proof_invalid", what);
      await node.closed;
    }
    await using replay = new LittleNode(gateway.url, key);
    replay.prove = (challenge, manners) => LittleNode.prototype.prove.call(replay, { ...challenge, nonce }, manners);
    assert.equal((await replay.hears("refused")).code, "proof_invalid", "a proof of an earlier connection");
    assert.equal(await seen(other.id), undefined);
  });

  it("lets nobody steer an admin's terminal by what he says of himself", async () => {
    const key = new Key();
    const about = { version: "0\u001b[2J", platform: "linux", arch: "x64", tier: "none", hostname: "a\u0007\u009bb\n" };
    await using node = connect(key, { lie: { about } });
    await node.hears("pending");
    const shown = await seen(key.id);
    assert.deepEqual([shown?.about.version, shown?.about.hostname], ["0?[2J", "a??b?"]);
  });

  it("is not for those who do not keep to it", async () => {
    const words: [string, (node: LittleNode) => void][] = [
      ["no JSON", (node) => node.ws.send("{")],
      ["binary", (node) => node.ws.send(Buffer.from("{}"))],
      ["a word of the other side", (node) => node.say({ type: "welcome" })],
      ["runs before the proof", (node) => node.say({ type: "runs", runs: [], more: false })],
      ["more than 8 KiB", (node) => node.ws.send("x".repeat(9000))],
    ];
    for (const [what, say] of words) {
      await using node = new LittleNode(gateway.url, new Key());
      node.prove = () => say(node);
      await node.closed;
      assert.deepEqual(
        node.heard.map(({ type }) => type),
        ["challenge"],
        what,
      );
    }
    await using page = new LittleNode(gateway.url, new Key(), { headers: { origin: "http://localhost" } });
    await page.closed;
    assert.deepEqual(page.heard, [], "a web page is not even challenged");
  });

  it("lets the same life of a node replace its lost connection, and another one only when the first is silent", async () => {
    const key = new Key();
    await using first = await arrive(key);
    await using second = connect(key);
    await second.hears("welcome");
    await first.closed;
    second.ws.pause(); // it hears nothing, and so answers nothing
    await using third = connect(key, { instance: "e".repeat(16) });
    await third.hears("welcome");
    await isHere(key.id);
    second.ws.resume();
    await second.closed;
  });

  it("gives each node a name of its own", async () => {
    const [one, two] = [new Key(), new Key()];
    await using _first = await arrive(one, { name: "same" });
    await using _second = await arrive(two, { name: "same" });
    assert.equal((await seen(two.id))?.name, `same-${two.id.slice(0, 8)}`);
    await assert.rejects(call("node.rename", { node: two.id, name: "same" }), /another node has the name same/);
    await assert.rejects(call("node.rename", { node: two.id, name: "local" }), /not `local`/);
    await call("node.rename", { node: two.id, name: "second" });
    assert.equal((await seen(two.id))?.name, "second");
  });

  it("notices silence within three beats, and a beat's absence is the node's absence", async () => {
    const key = new Key();
    await using node = await arrive(key);
    node.ws.pause();
    const began = performance.now();
    await isHere(key.id, false);
    assert.ok(performance.now() - began >= 750, "one late beat is no loss");
  });
});
