/** What becomes of runs when their node goes and comes: nothing happens twice, nothing is forgotten, and both sides agree in the end. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { NodeAsk } from "../../src/protocol/node/messages.ts";
import type { RunView } from "../../src/protocol/run.ts";
import { Background } from "../helpers/background.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { LittleNode, type Manners } from "./helpers/little-node.ts";
import { Key, told, toldEnded } from "./helpers/told.ts";

leavesNothing();
/** Long enough for a loaded machine: the little nodes live in this process, and must answer a beat in three. */
const nodes = { leaseMs: 5000, beatMs: 1000 };

describe("runs on a node that goes and comes", { timeout: patiently(90_000), concurrency: 4 }, () => {
  let home: Home;
  let gateway: Gateway;
  let runs: Background;
  let names = 0;
  before(async () => {
    home = new Home(bestTier(), { nodes });
    gateway = await Gateway.start(home);
    runs = new Background(gateway);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  /** A place for nodes of one key and name, which the gateway lets in. */
  class Place {
    readonly key = new Key();
    readonly name = `node-${(names += 1)}`;
    async come(manners: Manners = {}): Promise<LittleNode> {
      const known = await runs.call("node.list", {});
      const invite = known.some(({ id }) => id === this.key.id) ? null : (await runs.call("node.invite", {})).invite;
      const node = new LittleNode(gateway.url, this.key, { runs: [], name: this.name, invite, ...manners });
      await node.hears("welcome");
      if (manners.runs !== undefined || !("runs" in manners)) await this.isHere(true);
      return node;
    }
    isHere(here: boolean): Promise<unknown> {
      const look = async () => (await runs.call("node.describe", { node: this.name })).node.connected === here;
      return until(`${this.name} is ${here ? "here" : "gone"}`, look, { boundMs: 10_000 });
    }
  }
  const viewOf = async (id: string) =>
    (await runs.call("run.list", { all: true })).find((run) => run.id === id) ?? assert.fail(`no record of ${id}`);
  const becomes = (id: string, state: RunView["state"]) =>
    until(`${id} is ${state}`, async () => ((await viewOf(id)).state === state ? viewOf(id) : undefined), {
      boundMs: 10_000,
    });
  const runOf = ({ params }: NodeAsk) =>
    (params as { run?: string; request?: string }).run ?? (params as { request: string }).request;
  /** Starts what it is asked to; says no more. */
  const starting = (ask: NodeAsk) => (ask.name === "exec.start" ? told(runOf(ask)) : undefined);

  it("a start whose answer is lost is asked again under the same request id, and is one run", async () => {
    const place = new Place();
    const first = await place.come();
    const start = runs.start({ host: place.name, argv: ["true"] });
    const request = runOf(await first.asked("exec.start"));
    first.ws.terminate();
    await using second = await place.come({ answer: starting });
    assert.equal((await start).id, request);
    assert.equal(runOf(await second.asked("exec.start")), request);
    assert.equal((await runs.call("run.list", { all: true })).filter(({ host }) => host === place.name).length, 1);
  });

  it("what ended while its node was away takes the node's word for how: reason, code and times", async () => {
    const place = new Place();
    const first = await place.come({ answer: starting });
    const { id } = await runs.start({ host: place.name, argv: ["true"] });
    const waiting = runs.ended(id);
    first.ws.terminate();
    assert.equal((await becomes(id, "lost")).endReason, null, "lost to sight, not ended");
    await using _second = await place.come({ runs: [{ request: id, run: toldEnded(id, { exitCode: 7 }) }] });
    const { state, exitCode, endReason, endedAt } = await waiting;
    assert.deepEqual([state, exitCode, endReason, endedAt], ["exited", 7, "exited", 1_000_500]);
  });

  it("what lives on both sides goes on, and its output where it was", async () => {
    const place = new Place();
    const first = await place.come({ answer: starting });
    const { id } = await runs.start({ host: place.name, argv: ["true"] });
    const reading = runs.call("run.log", { id, offset: 3, waitMs: 5000 });
    await first.asked("exec.read");
    first.ws.terminate();
    const output = (ask: NodeAsk) =>
      ask.name === "exec.read"
        ? { offset: 3, bytes: Buffer.from("later").toString("base64"), printed: 8, run: told(id), sizes: [] }
        : undefined;
    await using second = await place.come({ runs: [{ request: id, run: told(id) }], answer: output });
    const piece = await reading;
    assert.deepEqual([piece.offset, Buffer.from(piece.bytes, "base64").toString(), piece.nextOffset], [3, "later", 8]);
    assert.equal(((await second.asked("exec.read")).params as { offset: number }).offset, 3);
    assert.equal((await viewOf(id)).state, "running");
  });

  it("a command's result is two questions, and the second is asked again when its answer was lost", async () => {
    const place = new Place();
    const first = await place.come({ answer: starting });
    const invoked = runs.call("node.invoke", { node: place.name, argv: ["true"], outputBytesMax: 4 });
    const request = runOf(await first.asked("exec.outcome"));
    first.ws.terminate();
    const run = toldEnded(request, { exitCode: 7 });
    const end = (text: string, printed: number) => ({
      offset: printed - text.length,
      bytes: Buffer.from(text).toString("base64"),
      printed,
    });
    const outcome = { run, stdout: end("last", 9), stderr: end("err", 3) };
    await using second = await place.come({
      runs: [{ request, run }],
      answer: (ask) => (ask.name === "exec.outcome" ? outcome : undefined),
    });
    const { run: ended, ...streams } = await invoked;
    assert.deepEqual([ended.id, ended.state, ended.exitCode], [request, "exited", 7]);
    assert.deepEqual(streams, { stdout: "last", stderr: "err", stdoutBytes: 9, stderrBytes: 3 });
    const besides = ["lease.renew", "run.list"]; // of beats, and of tests beside this one
    const asked = (node: LittleNode) =>
      node.heard.flatMap((word) => (word.type === "ask" && !besides.includes(word.name) ? [word.name] : []));
    assert.deepEqual([asked(first), asked(second)], [["exec.start", "exec.outcome"], ["exec.outcome"]]);
  });

  it("input whose answer is lost is sent again from the same place", async () => {
    const place = new Place();
    const first = await place.come({
      answer: (ask) =>
        starting(ask) ?? (ask.name === "exec.write" && ask.params.at === 0 ? { inputBytes: 5 } : undefined),
    });
    const { id } = await runs.start({ host: place.name, argv: ["cat"] });
    await runs.call("run.write", { id, data: "first" });
    const second = runs.call("run.write", { id, data: "second", end: true });
    await until(
      "both were sent",
      () => first.heard.filter((word) => word.type === "ask" && word.name === "exec.write").length === 2,
      {
        boundMs: 5000,
      },
    );
    first.ws.terminate();
    await using back = await place.come({
      runs: [{ request: id, run: told(id) }],
      answer: (ask) => (ask.name === "exec.write" ? { inputBytes: 11 } : undefined),
    });
    await second;
    const { params } = await back.asked("exec.write");
    assert.deepEqual(params, { run: id, bytes: Buffer.from("second").toString("base64"), at: 5, end: true });
  });

  it("what stays away longer than the lease is given up, and its own word is the record's when it is back", async () => {
    const place = new Place();
    const first = await place.come({ answer: starting });
    const { id } = await runs.start({ host: place.name, argv: ["true"] });
    const waiting = assert.rejects(runs.ended(id), /did not come back within its lease/);
    const began = performance.now();
    first.ws.terminate();
    await waiting;
    const tookMs = performance.now() - began;
    assert.ok(tookMs > nodes.leaseMs - nodes.beatMs && tookMs < patiently(nodes.leaseMs + 15_000), `${tookMs} ms`);
    const { state, endReason } = await viewOf(id);
    assert.deepEqual([state, endReason], ["lost", "node-lost"], "nobody saw its end");
    const ended = toldEnded(id, { endReason: "lease-expired", exitCode: null, signal: "SIGTERM" });
    await using _second = await place.come({ runs: [{ request: id, run: ended }] });
    const now = await becomes(id, "exited");
    assert.deepEqual([now.endReason, now.signal], ["lease-expired", "SIGTERM"]);
  });

  it("what was to end while its node was away is ended when it is back, for that reason", async () => {
    const place = new Place();
    const first = await place.come({ answer: starting });
    const { id } = await runs.start({ host: place.name, argv: ["true"] });
    first.ws.terminate();
    await becomes(id, "lost");
    const killing = runs.call("run.kill", { id });
    await until("the reason is on record", async () => (await viewOf(id)).endReason === "cancelled", { boundMs: 5000 });
    await using second = await place.come({
      runs: [{ request: id, run: told(id) }],
      answer: (ask) => (ask.name === "exec.end" ? toldEnded(id, { endReason: "cancelled" }) : undefined),
    });
    assert.equal((await killing).state, "exited");
    assert.equal(((await second.asked("exec.end")).params as { reason: string }).reason, "cancelled");
  });

  it("an end that is asked again over the next link has its number, by which the node knows it; a second one the next", async () => {
    const place = new Place();
    const first = await place.come({ answer: starting });
    const { id } = await runs.start({ host: place.name, argv: ["true"] });
    const kills = [runs.call("run.kill", { id })];
    const told1 = await first.asked("exec.end");
    first.ws.terminate();
    await using second = await place.come({ runs: [{ request: id, run: told(id) }] });
    assert.deepEqual((await second.asked("exec.end")).params, told1.params);
    kills.push(runs.call("run.kill", { id }));
    const ends = () => second.heard.filter((word) => word.type === "ask" && word.name === "exec.end") as NodeAsk[];
    await until("the second one is asked", () => ends().length === 2, { boundMs: 5000 });
    assert.deepEqual(
      ends().map(({ params }) => params),
      [1, 2].map((nth) => ({ ...told1.params, nth })),
    );
    for (const ask of ends()) second.say({ type: "reply", id: ask.id, result: toldEnded(id) });
    await Promise.all(kills);
  });

  it("what is on no record here is ended there; what is unknown there is ended here", async () => {
    const place = new Place();
    const first = await place.come({ answer: starting });
    const { id } = await runs.start({ host: place.name, argv: ["true"] });
    first.ws.terminate();
    await becomes(id, "lost");
    const [older, unknown] = ["n0-0123456789ab", `${id.slice(0, -4)}0000`];
    await using second = await place.come({
      runs: [older, unknown].map((request) => ({ request, run: told(request) })),
      answer: (ask) => (ask.name === "exec.end" ? toldEnded(runOf(ask), { endReason: ask.params.reason }) : undefined),
    });
    const now = await becomes(id, "exited");
    assert.equal(now.endReason, "node-lost");
    const ends = await until(
      "both are ended",
      () => {
        const asks = second.heard.filter((word) => word.type === "ask" && word.name === "exec.end") as NodeAsk[];
        return asks.length === 2 && asks;
      },
      { boundMs: 5000 },
    );
    const reasons = ends.map((ask) => [runOf(ask), (ask.params as { reason: string }).reason]);
    assert.deepEqual(reasons, [
      [older, "keeper-lost"],
      [unknown, "orphan-swept"],
    ]);
  });

  it("what a node was seen to run is not believed gone because somebody else with its key does not know it", async () => {
    const place = new Place();
    const first = await place.come({ answer: starting });
    const { id } = await runs.start({ host: place.name, argv: ["true"] });
    first.ws.terminate();
    await becomes(id, "lost");
    const other = await place.come({ instance: "fedcba9876543210", runs: [] });
    await until("it is given up", async () => (await viewOf(id)).endReason === "node-lost", {
      boundMs: 20_000,
    });
    await assert.rejects(runs.call("run.wait", { id, waitMs: 1000 }), /did not come back/);
    other.ws.terminate();
    await place.isHere(false);
    await using _node = await place.come({
      runs: [{ request: id, run: toldEnded(id, { endReason: "lease-expired" }) }],
    });
    assert.equal((await becomes(id, "exited")).endReason, "lease-expired");
  });

  it("what is started over there after its record was closed is ended, once, and the record stays", async () => {
    const place = new Place();
    const first = await place.come({ answer: starting });
    const { id } = await runs.start({ host: place.name, argv: ["true"] });
    first.ws.terminate();
    await becomes(id, "lost");
    await using second = await place.come({ runs: [] });
    assert.equal((await becomes(id, "exited")).endReason, "node-lost");
    for (const state of ["starting", "running", "stopping"] as const)
      second.say({ type: "state", request: id, run: told(id, { state }) });
    const { params } = await second.asked("exec.end");
    assert.deepEqual(params, { run: id, reason: "node-lost", hurried: false, nth: 1 });
    second.say({ type: "state", request: id, run: toldEnded(id, { endReason: "node-lost" }) });
    await runs.call("node.describe", { node: place.name });
    assert.equal(second.heard.filter((word) => word.type === "ask" && word.name === "exec.end").length, 1);
    assert.equal((await viewOf(id)).state, "exited");
  });

  it("words that cannot be end the connection, and change nothing", async () => {
    const victim = new Place();
    await using _kept = await victim.come({ answer: starting });
    const { id } = await runs.start({ host: victim.name, argv: ["true"] });
    const lies: [string, (node: LittleNode) => void][] = [
      ["the state of another node's run", (node) => node.say({ type: "state", request: id, run: toldEnded(id) })],
      ["the state of no run", (node) => node.say({ type: "state", request: "n1-ffffffffffff", run: told("x") })],
      ["an answer to no question", (node) => node.say({ type: "reply", id: 999_999, result: null })],
      ["runs a second time", (node) => node.say({ type: "runs", runs: [], more: false })],
      ["another form", (node) => node.say({ type: "state", request: id, run: { ...told(id), more: 1 } })],
      ["more than 1 MiB", (node) => node.ws.send("x".repeat(1024 * 1024 + 1))],
    ];
    for (const [what, lie] of lies) {
      const place = new Place();
      await using node = await place.come();
      lie(node);
      await node.closed;
      await place.isHere(false);
      assert.equal((await viewOf(id)).state, "running", what);
    }
    const { invite } = await runs.call("node.invite", {});
    await using early = new LittleNode(gateway.url, new Key(), { invite, runs: [{ request: id, run: toldEnded(id) }] });
    await early.closed;
    assert.equal((await viewOf(id)).state, "running");
  });
});
