/** What a gateway asks of its nodes: starts, input, output and ends, each once, over links that break: in one process. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Desk, times, turns } from "./helpers/desk.ts";
import { Key, told, toldEnded } from "./helpers/told.ts";

const codeOf = async (work: Promise<unknown> | (() => Promise<unknown>)) =>
  (typeof work === "function" ? Promise.resolve().then(work) : work).then(
    () => "done",
    ({ code }: { code: string }) => code,
  );
/** What is asked for at each look at output. */
const read = { stream: "stdout", offset: 0, bytesMax: 10, waitMs: 0, viewer: false, pace: false } as const;

describe("a start on a node", () => {
  it("is on record before the node hears of it, under the same id, with its lease", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const starting = desk.start("far", { sessionId: "s", scopeKey: "k" });
    await turns();
    const [asked] = peer.asked("exec.start");
    const [row] = await desk.nodes.runner.list({ all: true });
    assert.deepEqual([row?.id, row?.state, row?.sessionId, row?.scopeKey], [asked?.request, "starting", "s", "k"]);
    assert.deepEqual([asked?.leaseMs, asked?.sessionId, asked?.scopeKey], [times.leaseMs, null, null]);
    peer.answer("exec.start", ({ request }) => told(request, { cwd: "/there", pid: 12 }));
    const run = await starting;
    assert.deepEqual([run.id, run.state, run.host, run.cwd, run.pid], [row?.id, "running", "far", "/there", 12]);
    assert.equal(desk.nodes.list()[0]?.runs, 1);
  });

  it("that the node refuses leaves no record", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const starting = codeOf(desk.start());
    await turns();
    peer.refuse("exec.start", "exec_refused");
    assert.equal(await starting, "exec_refused");
    assert.deepEqual(await desk.nodes.runner.list({ all: true }), []);
    desk.again();
    assert.deepEqual(await desk.nodes.runner.list({ all: true }), []);
  });

  it("is asked for again, as the same, when the link is lost before the answer", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const starting = desk.start();
    await turns();
    peer.leave();
    const next = await desk.admit({ key: peer.key });
    await turns();
    assert.deepEqual(next.asked("exec.start"), peer.asked("exec.start"));
    next.answer("exec.start", ({ request }) => told(request));
    assert.equal((await starting).state, "running");
  });

  it("waits for a node that is just coming, and not for one that is away", async () => {
    using desk = new Desk();
    const peer = await desk.admit({ runs: null });
    const starting = desk.start();
    await turns();
    assert.deepEqual(peer.asked("exec.start"), []);
    peer.say({ type: "runs", runs: [], more: false });
    await turns();
    assert.equal(peer.asked("exec.start").length, 1);
    peer.answer("exec.start", ({ request }) => told(request));
    await starting;
    peer.leave();
    assert.equal(await codeOf(desk.start()), "node_absent");
  });

  it("that no answer comes to is lost with the lease, and what comes back of it later is ended", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const starting = codeOf(desk.start());
    await turns();
    const { request = "" } = peer.asked("exec.start")[0] ?? {};
    peer.leave();
    desk.clock.advance(times.leaseMs);
    await turns();
    assert.equal((await desk.shown(request))?.endReason, null, "before the lease is over for certain");
    desk.clock.advance(1000);
    assert.equal(await starting, "node_lost");
    assert.deepEqual([(await desk.shown(request))?.state, (await desk.shown(request))?.endReason], ["lost", "node-lost"]);
    assert.equal(await codeOf(desk.nodes.runner.wait({ run: request, waitMs: 1000 })), "node_lost");
    const back = await desk.admit({ key: peer.key, runs: [{ request, run: told(request) }] });
    assert.deepEqual(back.asked("exec.end").map(({ run, reason }) => [run, reason]), [[request, "node-lost"]]);
    const how = { endReason: "lease-expired", exitCode: null, signal: "SIGKILL" } as const;
    back.say({ type: "state", request, run: toldEnded(request, how) });
    const { state, endReason, signal, endedAt } = (await desk.shown(request))!;
    assert.deepEqual([state, endReason, signal, endedAt], ["exited", "lease-expired", "SIGKILL", 1_000_500]);
  }); // prettier-ignore
});

describe("what goes to a run on a node", () => {
  it("arrives in order, each piece at its place, and once though it is sent again", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const id = await desk.running(peer);
    const write = (text: string) =>
      desk.nodes.runner.write({ run: id, bytes: Buffer.from(text).toString("base64"), at: null, end: false });
    const [one, two] = [write("abc"), write("de")];
    await turns();
    assert.deepEqual(peer.asked("exec.write").map(({ at }) => at), [0], "the second waits for the first");
    peer.answer("exec.write", () => ({ inputBytes: 3 }));
    await one;
    await turns();
    peer.leave();
    const next = await desk.admit({ key: peer.key, runs: [{ request: id, run: told(id) }] });
    await turns();
    assert.deepEqual([...peer.asked("exec.write"), ...next.asked("exec.write")].map(({ at }) => at), [0, 3, 3]);
    next.answer("exec.write", () => ({ inputBytes: 5 }));
    assert.deepEqual(await two, { inputBytes: 5 });
    desk.again();
    const last = await desk.admit({ key: peer.key, runs: [{ request: id, run: told(id) }] });
    const three = write("f");
    await turns();
    last.answer("exec.write", ({ at, bytes }) => (assert.deepEqual([at, bytes], [null, ""]), { inputBytes: 5 }));
    await turns();
    last.answer("exec.write", ({ at }) => (assert.equal(at, 5), { inputBytes: 6 }));
    assert.deepEqual(await three, { inputBytes: 6 });
  }); // prettier-ignore

  it("as a signal is sent once, and not known to have arrived when the link is lost", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const id = await desk.running(peer);
    const signalled = codeOf(desk.nodes.runner.signal({ run: id, signal: "SIGINT", to: "command" } as never));
    await turns();
    peer.leave();
    assert.equal(await signalled, "node_lost");
    const next = await desk.admit({ key: peer.key, runs: [{ request: id, run: told(id) }] });
    assert.deepEqual(next.asked("exec.signal"), []);
    const resized = desk.nodes.runner.resize({ run: id, size: { columns: 9, rows: 9 } });
    await turns();
    next.answer("exec.resize", () => null);
    assert.equal(await resized, null);
  });
});

describe("output of a run on a node", () => {
  const answered = (run: string, bytes: string, printed = 3) => ({
    offset: 0,
    bytes,
    printed,
    sizes: [],
    run: told(run),
  });

  it("is what the node has, and nothing while it is away, with what was printed by then", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const id = await desk.running(peer);
    const reading = desk.nodes.runner.read({ ...read, run: id });
    await turns();
    peer.answer("exec.read", () => answered(id, "YWJj"));
    const { bytes, run } = await reading;
    assert.deepEqual([bytes, run.host, run.id], ["YWJj", "far", id]);
    peer.leave();
    const away = await desk.nodes.runner.read({ ...read, run: id, offset: 9 });
    assert.deepEqual([away.bytes, away.printed, away.offset, away.run.state], ["", 3, 3, "lost"]);
    assert.equal((await desk.nodes.runner.read({ ...read, run: id, offset: 1 })).offset, 1);
  });

  for (const [what, bytes] of [["more than was asked for", "YWJjZGVmZ2hpamts"], ["not base64", "YW!j"]] as const)
    it(`that is ${what} puts the node out, and who asked is told that the node is lost`, async () => {
      using desk = new Desk();
      const peer = await desk.admit();
      const id = await desk.running(peer);
      const reading = codeOf(desk.nodes.runner.read({ ...read, run: id }));
      await turns();
      peer.answer("exec.read", () => answered(id, bytes));
      assert.equal(await reading, "node_lost");
      assert.equal(peer.whyEnded(), "protocol-error");
    }); // prettier-ignore
});

describe("the end of a node, and of all of them", () => {
  it("ends what runs there first, and waits three seconds for it at most", async () => {
    using desk = new Desk();
    const peer = await desk.admit();
    const [one, two] = [await desk.running(peer), await desk.running(peer)];
    const revoking = desk.nodes.revoke("far");
    await turns();
    assert.deepEqual(peer.asked("exec.end").map(({ run, reason }) => [run, reason]), [[one, "cancelled"], [two, "cancelled"]]);
    assert.equal(peer.whyEnded(), undefined);
    peer.answer("exec.end", () => toldEnded(one));
    await turns();
    assert.equal(peer.whyEnded(), undefined, "one of two has ended");
    desk.clock.advance(3000);
    await revoking;
    assert.equal(peer.refusal, "node_revoked");
    assert.deepEqual([(await desk.shown(one))?.state, (await desk.shown(two))?.state], ["exited", "lost"]);
    assert.equal(desk.nodes.list()[0]?.runs, 1, "it may still live: its lease is not over");
    desk.clock.advance(times.leaseMs + 1000);
    assert.deepEqual(await desk.nodes.runner.live(), [], "it may never come back, and nobody waits");
  }); // prettier-ignore

  it("tells all that live that the gateway stops, and does not wait for those that are away", async () => {
    using desk = new Desk();
    const [here, away] = [await desk.admit(), await desk.admit({ name: "away" })];
    const [one, two] = [await desk.running(here), await desk.running(away)];
    away.leave();
    const ending = desk.nodes.endRuns(60_000);
    await turns();
    assert.deepEqual(here.asked("exec.end").map(({ reason }) => reason), ["shutdown"]);
    here.answer("exec.end", () => toldEnded(one));
    await ending;
    assert.equal((await desk.shown(two))?.endReason, "shutdown");
  }); // prettier-ignore

  it("2,000 runs may live at once, and 1,000 that ended are remembered", async () => {
    using desk = new Desk();
    const key = new Key();
    const peer = await desk.admit({ key });
    const ids: string[] = [];
    for (let number = 0; number < 2000; number += 1) {
      const starting = desk.start();
      await new Promise(setImmediate);
      peer.answer("exec.start", ({ request }) => told(request));
      ids.push((await starting).id);
      peer.heard.length = 0;
    }
    assert.equal(await codeOf(desk.start()), "run_limit");
    for (const id of ids) peer.say({ type: "state", request: id, run: toldEnded(id) });
    await desk.running(peer);
    const all = await desk.nodes.runner.list({ all: true });
    assert.equal(all.length, 1001);
    assert.deepEqual([all[0]?.id, all.some(({ id }) => id === ids[999])], [ids[1000], false]);
  });
});
