/** Runs on nodes and their records, whatever a node says, when it says it, and however often it goes away: in one process. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Desk, times, turns } from "./helpers/desk.ts";
import { told, toldEnded } from "./helpers/told.ts";

const end = (run: string, hurried = false) => ({ run, reason: "cancelled" as const, hurried });
const codeOf = async (work: Promise<unknown> | (() => Promise<unknown>)) =>
  (typeof work === "function" ? Promise.resolve().then(work) : work).then(
    () => "done",
    ({ code }: { code: string }) => code,
  );

describe("a run on a node", () => {
  it("ends once: what is told afterwards changes nothing", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const id = await desk.running(peer);
    const waiting = desk.nodes.runner.wait({ run: id, waitMs: 10_000 });
    peer.say({ type: "state", request: id, run: told(id, { leaderEndedAt: 1_000_200 }) });
    assert.equal((await desk.shown(id))?.leaderEndedAt, 1_000_200);
    peer.say({ type: "state", request: id, run: toldEnded(id, { exitCode: 3 }) });
    const ended = await waiting;
    assert.deepEqual([ended.state, ended.exitCode, ended.endedAt], ["exited", 3, 1_000_500]);
    peer.say({ type: "state", request: id, run: told(id) });
    peer.say({ type: "state", request: id, run: toldEnded(id, { exitCode: 4 }) });
    assert.deepEqual({ ...(await desk.shown(id)) }, { ...ended, silentSince: null });
    assert.equal(await codeOf(() => desk.nodes.runner.write({ run: id, bytes: "", at: null, end: true })), "run_ended");
    assert.deepEqual((await desk.nodes.runner.end(end(id))).endReason, "exited");
    assert.equal(peer.asked("exec.end").length, 1, "what lives on although it has ended here is ended");
    desk.again();
    assert.equal((await desk.shown(id))?.exitCode, 3);
  });

  it("is waited for as long as was asked, and shown as lost while its node is away", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const id = await desk.running(peer);
    assert.equal((await desk.nodes.runner.wait({ run: id, waitMs: 0 })).state, "running");
    let state = "";
    void desk.nodes.runner.wait({ run: id, waitMs: 2000 }).then((run) => (state = run.state));
    desk.clock.advance(1999);
    await turns();
    assert.equal(state, "");
    desk.clock.advance(1);
    await turns();
    assert.equal(state, "running");
    peer.leave();
    const { state: shown, processes } = (await desk.shown(id))!;
    assert.deepEqual([shown, processes, desk.nodes.runStates().get("lost")], ["lost", [], 1]);
    const back = await desk.admit({ key: peer.key, runs: [{ request: id, run: told(id) }] });
    assert.deepEqual([(await desk.shown(id))?.state, back.asked("exec.end")], ["running", []]);
  });

  it("keeps what is known of its processes when a report has none, and shows those of the last list", async () => {
    using desk = new Desk();
    const peer = await desk.admit({ mute: true });
    const id = await desk.running(peer);
    const processes = [{ pid: 7, ppid: 1, state: "S", rssBytes: 1, startedAt: 1, command: "x" }];
    peer.say({ type: "state", request: id, run: told(id, { processes }) });
    peer.say({ type: "state", request: id, run: told(id, { leaderEndedAt: 5 }) });
    const listing = desk.nodes.runner.list({ all: false });
    await turns();
    desk.clock.advance(300);
    assert.deepEqual((await listing)[0]?.processes, processes);
    const later = desk.nodes.runner.list({ all: false });
    await turns();
    assert.equal(peer.asked("run.list").length, 1, "a silent node is asked no more");
    await later;
  });

  it("is ended for the first reason, each time it is asked for under another number, also on its return", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const id = await desk.running(peer);
    const first = desk.nodes.runner.end(end(id));
    const second = desk.nodes.runner.end({ run: id, reason: "session-ended", hurried: true });
    await turns();
    assert.deepEqual(
      peer.asked("exec.end").map(({ reason, hurried, nth }) => [reason, hurried, nth]),
      [["cancelled", false, 1], ["session-ended", true, 2]],
    ); // prettier-ignore
    assert.equal((await desk.shown(id))?.endReason, "cancelled");
    peer.leave();
    const back = await desk.admit({ key: peer.key, runs: [{ request: id, run: told(id) }] });
    assert.equal(back.asked("exec.end").length, 2, "those who wait ask, and nobody besides");
    for (let number = 0; number < 2; number += 1)
      back.answer("exec.end", () => toldEnded(id, { endReason: "cancelled", exitCode: null }));
    assert.deepEqual([(await first).state, (await second).endReason], ["exited", "cancelled"]);
  });

  it("whose end was asked for while its node was away is ended on its return, by the next front too", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const id = await desk.running(peer);
    peer.leave();
    const ending = codeOf(desk.nodes.runner.end(end(id)));
    await turns();
    desk.again();
    const back = await desk.admit({ key: peer.key, runs: [{ request: id, run: told(id) }] });
    assert.deepEqual(back.asked("exec.end").map(({ reason }) => reason), ["cancelled"]);
    back.say({ type: "state", request: id, run: toldEnded(id, { endReason: null }) });
    assert.deepEqual([(await desk.shown(id))?.state, (await desk.shown(id))?.endReason], ["exited", "cancelled"]);
    void ending;
  }); // prettier-ignore

  it("that its node does not know any more is over, unless another machine speaks for it", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const [gone, other] = [await desk.running(peer), await desk.running(peer)];
    peer.leave();
    desk.clock.advance(100);
    const same = await desk.admit({ key: peer.key, runs: [{ request: other, run: told(other) }] });
    const { state, endReason, endedAt } = (await desk.shown(gone))!;
    assert.deepEqual([state, endReason, endedAt], ["exited", "node-lost", desk.clock.now()]);
    same.leave();
    await desk.admit({ key: peer.key, instance: "f".repeat(16) });
    assert.deepEqual([(await desk.shown(other))?.state, (await desk.shown(other))?.endReason], ["lost", "node-lost"]);
    desk.again();
    assert.deepEqual([(await desk.shown(gone))?.state, (await desk.shown(other))?.state], ["exited", "lost"]);
  });

  it("whose node is back in time is given up no more, and one whose node never comes back is, by the next front too", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const [one, two] = [await desk.running(peer), await desk.running(peer)];
    const runs = [one, two].map((request) => ({ request, run: told(request) }));
    peer.leave();
    desk.clock.advance(times.leaseMs - 1000);
    const back = await desk.admit({ key: peer.key, runs });
    for (let passed = 0; passed < 2 * times.leaseMs; passed += 1000) {
      desk.clock.advance(1000);
      await turns();
    }
    assert.deepEqual([(await desk.shown(one))?.state, (await desk.shown(two))?.state], ["running", "running"]);
    back.leave();
    desk.again();
    desk.clock.advance(times.leaseMs);
    assert.equal((await desk.shown(one))?.endReason, null);
    desk.clock.advance(1000);
    for (const id of [one, two]) {
      const { state, endReason } = (await desk.shown(id))!;
      assert.deepEqual([state, endReason], ["lost", "node-lost"]);
    }
  });

  it("that is not on record here is ended, with the reason why nobody owns it", async () => {
    using desk = new Desk();
    const [ours, theirs] = ["n1-00000000000a", "n7-00000000000b"];
    const runs = [ours, theirs].map((request) => ({ request, run: told(request) }));
    const old = { request: "n1-00000000000c", run: toldEnded("n1-00000000000c") };
    const peer = await desk.admit({ runs: [...runs, old] });
    assert.deepEqual(
      peer.asked("exec.end").map(({ run, reason }) => [run, reason]),
      [[ours, "orphan-swept"], [theirs, "keeper-lost"]],
    ); // prettier-ignore
    peer.say({ type: "state", request: ours, run: toldEnded(ours) });
    assert.equal(peer.whyEnded(), undefined, "it may tell again of what it told before");
    peer.say({ type: "state", request: "n1-00000000000d", run: told("n1-00000000000d") });
    assert.equal(peer.whyEnded(), "protocol-error");
    assert.deepEqual(await desk.nodes.runner.list({ all: true }), []);
  });

  it("of another node is none of its business: it is put out, and the record stays", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const id = await desk.running(peer);
    const thief = await desk.admit({ name: "thief" });
    thief.say({ type: "state", request: id, run: toldEnded(id) });
    assert.equal(thief.whyEnded(), "protocol-error");
    const again = await desk.admit({ key: thief.key, runs: [{ request: id, run: toldEnded(id) }] });
    assert.equal(again.whyEnded(), "protocol-error");
    assert.equal((await desk.shown(id))?.state, "running");
    assert.equal(peer.whyEnded(), undefined);
  });

  it("goes on under the next front if it is to be kept, ends if not, and with its keeper in any case", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const kept = await desk.running(peer, { onFrontLoss: "keep" });
    const tied = await desk.running(peer, { onFrontLoss: "kill" });
    const runs = [kept, tied].map((request) => ({ request, run: told(request) }));
    desk.again();
    const next = await desk.admit({ key: peer.key, runs });
    assert.deepEqual(next.asked("exec.end").map(({ run, reason }) => [run, reason]), [[tied, "front-lost"]]);
    assert.equal((await desk.shown(kept))?.state, "running");
    desk.again(2);
    assert.equal((await desk.shown(kept))?.endReason, "keeper-lost");
    const last = await desk.admit({ key: peer.key, runs });
    assert.deepEqual(
      last.asked("exec.end").map(({ run, reason }) => [run, reason]),
      [[kept, "keeper-lost"], [tied, "front-lost"]],
    );
  }); // prettier-ignore

  it("is removed when it has ended, or with its end, and not known afterwards", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const id = await desk.running(peer);
    const { runner } = desk.nodes;
    assert.equal(await codeOf(runner.remove({ run: id, end: false })), "run_alive");
    const removing = runner.remove({ run: id, end: true });
    await turns();
    assert.equal((await desk.shown(id))?.endReason, "cancelled");
    peer.answer("exec.end", () => toldEnded(id));
    await removing;
    assert.equal(await codeOf(runner.wait({ run: id, waitMs: 0 })), "run_unknown");
    desk.again();
    assert.equal(await desk.shown(id), undefined);
  });

  it("of a server is its client's: nobody else reads it, writes to it or ends it", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const place = { argv: ["cat"], cwd: "/", env: {}, limits: {} };
    const starting = desk.nodes.servers.start("far", { name: "cat" }, place as never, "s");
    await turns();
    peer.answer("exec.start", ({ request }) => told(request));
    const { id, kind, server } = await starting;
    assert.deepEqual([kind, server], ["mcp", "cat"]);
    const { runner } = desk.nodes;
    assert.equal(await codeOf(() => runner.write({ run: id, bytes: "", at: 0, end: false })), "run_unknown");
    assert.equal(await codeOf(() => runner.end(end(id))), "run_unknown");
    assert.deepEqual(await runner.owners(), []);
    const mine = await desk.running(peer, { sessionId: "s" });
    assert.deepEqual(await runner.owners(), [{ run: mine, sessionId: "s" }]);
  });
});
