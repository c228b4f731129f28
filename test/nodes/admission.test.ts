/** Who is let in as a node, how many may wait, and that one key has one connection: with good and bad peers, in one process. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NodeMessage } from "../../src/protocol/node/messages.ts";
import { Desk, times, turns, type Peer } from "./helpers/desk.ts";
import { Key, told } from "./helpers/told.ts";

const viewOf = (desk: Desk, peer: Peer) => desk.nodes.list().find(({ id }) => id === peer.key.id);

describe("a key that nobody has decided about", () => {
  it("waits to be approved, and is welcomed at once when it is", async () => {
    using desk = new Desk();
    const peer = await desk.meet();
    assert.deepEqual(peer.heard.slice(1), [{ type: "pending", node: peer.key.id }]);
    const { state, waiting, connected } = viewOf(desk, peer)!;
    assert.deepEqual([state, waiting, connected], ["pending", true, false]);
    await assert.rejects(desk.start(), { code: "node_unknown" });
    desk.nodes.approve("far", "press");
    await turns();
    const { leaseMs, beatMs } = times;
    assert.deepEqual(
      peer.heard.find(({ type }) => type === "welcome"),
      { type: "welcome", node: peer.key.id, name: "press", leaseMs, beatMs },
    );
    assert.deepEqual(
      [viewOf(desk, peer)?.waiting, viewOf(desk, peer)?.connected, viewOf(desk, peer)?.name],
      [false, true, "press"],
    );
    for (let passed = 0; passed < times.pendingMs + 1000; passed += 1000) {
      desk.clock.advance(1000);
      await turns();
    }
    assert.equal(peer.whyEnded(), undefined, "the bound of its waiting is gone");
  });

  it("may say nothing but its proof, and nothing while it waits", async () => {
    using desk = new Desk();
    const early = await desk.meet({ lie: { signature: "A".repeat(86) } });
    assert.deepEqual([early.refusal, viewOf(desk, early)], ["proof_invalid", undefined]);
    const run = told("n1-0123456789ab");
    for (const message of [
      { type: "runs", runs: [], more: false },
      { type: "reply", id: 1, result: null },
      { type: "state", request: run.id, run },
    ] satisfies NodeMessage[]) {
      const peer = await desk.meet();
      peer.say(message);
      assert.equal(peer.whyEnded(), "protocol-error", message.type);
    }
    assert.equal(desk.faults().length, 3);
  });

  it("waits a bounded time, and may come again: the older one of its connections goes", async () => {
    using desk = new Desk();
    const key = new Key();
    const first = await desk.meet({ key });
    const second = await desk.meet({ key });
    assert.deepEqual([first.whyEnded(), second.whyEnded()], ["replaced", undefined]);
    desk.clock.advance(times.pendingMs);
    assert.equal(second.whyEnded(), "auth-timeout");
    assert.equal(viewOf(desk, second)?.waiting, false);
    assert.equal(desk.clock.pending, 0);
    desk.nodes.approve(key.id);
    await turns();
    assert.equal(second.welcomes, 0, "one that is gone is welcomed");
    assert.equal((await desk.admit({ key })).welcomes, 1);
  });

  it("is one of sixteen of its address that wait, and of 64 in all: the oldest goes", async () => {
    using desk = new Desk();
    const peers: Peer[] = [];
    for (let number = 0; number < 16; number += 1) peers.push(await desk.meet({ address: "a" }));
    assert.ok(peers.every((peer) => peer.whyEnded() === undefined));
    await desk.meet({ address: "a" });
    assert.deepEqual([peers[0]?.whyEnded(), peers[1]?.whyEnded()], ["crowded", undefined]);
    for (let number = 0; number < 48; number += 1) await desk.meet({ address: `b${number}` });
    assert.equal(peers[1]?.whyEnded(), undefined, "64 wait");
    await desk.meet({ address: "c" });
    assert.deepEqual([peers[1]?.whyEnded(), peers[2]?.whyEnded()], ["crowded", undefined]);
  });

  it("is not let in once an admin has rejected, revoked or forgotten it, until one approves", async () => {
    using desk = new Desk();
    const key = new Key();
    const first = await desk.meet({ key });
    await desk.nodes.reject(key.id);
    assert.deepEqual([first.refusal, first.whyEnded()], ["node_rejected", "revoked"]);
    const again = await desk.meet({ key });
    assert.deepEqual([again.refusal, again.welcomes, again.whyEnded()], ["node_rejected", 0, "unauthorized"]);
    desk.nodes.forget(key.id);
    const unknown = await desk.meet({ key });
    assert.equal(viewOf(desk, unknown)?.state, "pending");
    desk.nodes.forget(key.id);
    assert.equal(unknown.whyEnded(), "revoked");
    const back = await desk.admit({ key });
    assert.equal(viewOf(desk, back)?.connected, true);
    await desk.nodes.revoke(key.id);
    assert.deepEqual([back.refusal, back.whyEnded()], ["node_revoked", "revoked"]);
    assert.equal((await desk.meet({ key })).refusal, "node_revoked");
    assert.equal((await desk.admit({ key })).refusal, "node_revoked");
    const last = await desk.admit({ key });
    assert.deepEqual([last.refusal, viewOf(desk, last)?.connected], [undefined, true]);
  });

  it("is let in by an invitation, once, under the name of the invitation", async () => {
    using desk = new Desk();
    const { secret } = desk.nodes.invite(1000, "guest");
    const peer = await desk.meet({ invite: secret });
    assert.deepEqual([viewOf(desk, peer)?.name, viewOf(desk, peer)?.connected], ["guest", true]);
    const other = await desk.meet({ invite: secret });
    assert.deepEqual([other.refusal, viewOf(desk, other)], ["invite_invalid", undefined]);
    peer.leave();
    assert.equal((await desk.meet({ key: peer.key, invite: secret })).welcomes, 1, "the line was pasted twice");
  });
});

describe("the log", () => {
  it("says once of each node that it waits, was let in and by whom, came, and went", async () => {
    using desk = new Desk();
    const key = new Key();
    await desk.meet({ key });
    await desk.meet({ key });
    const here = await desk.admit({ key });
    here.leave();
    await desk.meet({ key });
    await desk.meet({ name: "guest", invite: desk.nodes.invite(1000, null).secret });
    await desk.nodes.revoke("far");
    const lines = desk.logged.flatMap(({ event, fields: { node, by } }) => {
      const who = node === key.id ? "far" : "guest";
      return node === undefined ? [] : [typeof by === "string" ? `${event} ${who} ${by}` : `${event} ${who}`];
    });
    const [waits, comes] = ["node.pending far, node.approved far admin", "node.connected far, node.lost far"];
    const guest = "node.approved guest invitation, node.connected guest";
    assert.equal(lines.join(", "), `${waits}, ${comes}, node.connected far, ${guest}, node.revoked far, node.lost far`);
  });
});

describe("two connections with one key", () => {
  it("of one life of its keeper: the new one takes the place of the old one", async () => {
    using desk = new Desk();
    const first = await desk.admit();
    const second = await desk.admit({ key: first.key });
    assert.deepEqual([first.whyEnded(), second.whyEnded()], ["replaced", undefined]);
    assert.equal(viewOf(desk, second)?.connected, true);
  });

  it("of two machines: the new one is refused while the old one answers, and taken when it does not", async () => {
    using desk = new Desk();
    const first = await desk.admit();
    const other = { key: first.key, instance: "f".repeat(16) };
    const second = await desk.admit(other);
    await turns();
    assert.deepEqual(
      [first.whyEnded(), second.refusal, second.whyEnded()],
      [undefined, "node_duplicate", "unauthorized"],
    );
    first.mute = true;
    const third = await desk.admit(other);
    desk.clock.advance(1999);
    await turns();
    assert.deepEqual([first.whyEnded(), third.welcomes], [undefined, 0]);
    desk.clock.advance(1);
    await turns();
    assert.deepEqual([first.whyEnded(), third.welcomes, viewOf(desk, third)?.connected], ["replaced", 1, true]);
  });

  it("that come at once: one of them is in", async () => {
    using desk = new Desk();
    const key = new Key();
    (await desk.admit({ key })).leave();
    const both = await Promise.all(["a", "b"].map((letter) => desk.meet({ key, instance: letter.repeat(16) })));
    await turns();
    assert.deepEqual(both.map(({ refusal }) => refusal), [undefined, "node_duplicate"]);
  }); // prettier-ignore

  it("are not let in by an approval that was taken back while the older one was asked", async () => {
    using desk = new Desk();
    const first = await desk.admit({ mute: true });
    const second = await desk.meet({ key: first.key, instance: "f".repeat(16) });
    void desk.nodes.revoke(first.key.id);
    await turns();
    desk.clock.advance(5000);
    await turns();
    assert.deepEqual([first.refusal, second.refusal, second.welcomes], ["node_revoked", "node_revoked", 0]);
  });
});

describe("a welcomed node", () => {
  it("has its lease to tell its runs, tells them once, and no more than 10,000", async () => {
    using desk = new Desk();
    const late = await desk.admit({ runs: null });
    assert.equal(viewOf(desk, late)?.connected, false);
    for (let passed = 0; passed < times.leaseMs; passed += 500) {
      desk.clock.advance(500);
      await turns();
    }
    assert.equal(late.whyEnded(), "protocol-error");
    const twice = await desk.admit({ key: late.key });
    twice.say({ type: "runs", runs: [], more: false });
    assert.equal(twice.whyEnded(), "protocol-error");
    const many = await desk.admit({ key: late.key, runs: null });
    const some = (count: number) =>
      Array.from({ length: count }, (_, number) => ({ request: `n9-${number}`, run: told(`n9-${number}`) }));
    many.say({ type: "runs", runs: some(10_000), more: true });
    assert.equal(many.whyEnded(), undefined);
    many.say({ type: "state", ...some(1)[0]! });
    assert.match(desk.faults().at(-1) ?? "", /more than 10000 runs/);
    assert.equal(many.whyEnded(), "protocol-error");
  });

  it("is here until it misses three beats, or cannot renew its lease", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const beats = () => peer.asked("lease.renew").length;
    const first = beats();
    assert.ok(first >= 1, "the first beat is at once");
    desk.clock.advance(1000);
    await turns();
    assert.equal(beats(), first + 1);
    assert.equal(viewOf(desk, peer)?.silentSince, null);
    peer.mute = true;
    desk.clock.advance(1000);
    await turns();
    desk.clock.advance(300);
    assert.equal(viewOf(desk, peer)?.silentSince, desk.clock.now() - 300);
    desk.clock.advance(2600);
    assert.equal(peer.whyEnded(), undefined);
    desk.clock.advance(1000);
    assert.equal(peer.whyEnded(), "no-heartbeat");
    assert.equal(viewOf(desk, peer)?.connected, false);
    const next = await desk.admit({ key: peer.key, mute: true });
    await turns();
    next.refuse("lease.renew", "state_unusable");
    await turns();
    assert.equal(next.whyEnded(), "no-heartbeat");
  });

  it("that answers what it was not asked, or in another form, is put out, and its words reach nobody", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    peer.say({ type: "reply", id: 4711, result: null });
    assert.equal(peer.whyEnded(), "protocol-error");
    const next = await desk.admit({ key: peer.key });
    const starting = desk.start();
    await turns();
    next.answer("exec.start", () => ({ id: "nonsense" }));
    await turns();
    assert.equal(next.whyEnded(), "protocol-error");
    const third = await desk.admit({ key: peer.key });
    await turns();
    third.refuse("exec.start", "exec_refused");
    await assert.rejects(starting, { code: "exec_refused" });
    assert.deepEqual(await desk.nodes.runner.list({ all: true }), []);
  });

  it("is put out when the gateway stops, as is one that waits, and nothing goes on", async () => {
    using desk = new Desk();
    const [here, waiting] = [await desk.admit(), await desk.meet({ name: "other" })];
    desk.nodes.close();
    assert.deepEqual([here.whyEnded(), waiting.whyEnded()], ["shutdown", "shutdown"]);
    desk.clock.advance(2 * times.leaseMs);
    assert.equal(desk.clock.pending, 0);
  });
});
