/** MCP servers on a node: called as at home, through lost links without loss or doubling, and an error in words when the node is lost. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { RunView } from "../../src/protocol/run.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive, survivorsOf, waitForListed, waitForZero } from "../helpers/pids.ts";
import { everything, stubborn } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { joinNode } from "./helpers/join-node.ts";
import type { NodeProcess } from "./helpers/node-process.ts";

leavesNothing();
const boundMs = 20_000;
/** Longer than a busy machine takes to start a front anew. */
const leaseMs = 6000;
const beatMs = 200;
/** What the issue allows past the lease for the records to be right. */
const agreeMs = 2000;
const stop = { stdinGraceMs: 200, termGraceMs: 300 };

describe("an MCP server on a node", { timeout: patiently(90_000), concurrency: 4 }, () => {
  let home: Home;
  let gateway: Gateway;
  const nodes = new Map<string, NodeProcess>();
  const list = async (all = true) => (await gateway.rpc("run.list", { all })) as RunView[];
  const runOf = async (server: string) => (await list()).filter((run) => run.server === server).sort((a, b) => a.startedAt - b.startedAt).at(-1); // prettier-ignore
  const text = (answer: { result?: Record<string, unknown>; error?: { message: string } }) =>
    answer.error?.message ?? (answer.result?.["content"] as { text: string }[] | undefined)?.[0]?.text;
  const files = new Map<string, Home>();
  const pids = (server: string) => files.get(server)!.pidFile;

  before(async () => {
    home = new Home(bestTier());
    const make = (name: string, on: (pidFile: string) => { command: string; args: string[] }, more: object) => {
      const own = new Home(home.tier);
      files.set(name, own);
      const { command, args } = on(own.pidFile);
      return { command, args, ...more };
    };
    home.configure({
      mcpServers: {
        hidden: make("hidden", stubborn, { host: "steady" }),
        far: make("far", everything, { host: "steady" }),
        flaky: make("flaky", everything, { host: "flaky", env: { SECRET: "for the node alone" } }),
        doomed: make("doomed", everything, { host: "doomed" }),
        moving: make("moving", everything, { host: "doomed", share: "pool", hostFallback: "local" }),
        leaving: make("leaving", everything, { host: "doomed", hostFallback: "steady" }),
        broken: { command: "sh", args: ["-c", "echo the far reason >&2; exit 3"], host: "steady" },
        absent: { command: "true", host: "nobody" },
      },
      nodes: { leaseMs, beatMs },
      stop,
    });
    gateway = await Gateway.start(home);
    await Promise.all(
      ["steady", "flaky", "doomed"].map(async (name) =>
        nodes.set(name, await joinNode(gateway, name, { config: { stop } })),
      ),
    );
  });
  after(async () => {
    await Promise.all([...nodes.values()].map((node) => node[Symbol.asyncDispose]()));
    await gateway.stop();
    for (const each of [...files.values(), home]) await each[Symbol.asyncDispose]();
  });

  it("is in the same tree as at home, and gone with its session, helpers that hide included", async () => {
    using client = gateway.mcp("hidden");
    await client.initialize();
    assert.equal(text(await client.call("echo", { message: "there" })), "Echo: there");
    await waitForListed(pids("hidden"), 5, boundMs);
    // A node that is slow to answer is shown as it was last known.
    const shown = async () => ((await runOf("hidden"))?.processes.length === 5 ? runOf("hidden") : undefined);
    const run = await until("five processes, as the node's kernel shows them", shown, { boundMs });
    assert.deepEqual([run.kind, run.host, run.state], ["mcp", "steady", "running"]);
    const { stdout } = await runCommand(home, ["ps"]);
    assert.match(stdout, /hidden/);
    await assert.rejects(gateway.rpc("run.kill", { id: run.id }), /is an MCP server's, not a background run/);
    void client.callAndHang("hang");
    await until("the call", async () => (await list(false)).some(({ server }) => server === "hidden"), { boundMs });
    const status = await client.delete();
    assert.ok(status === 204 || status === 202, String(status));
    await waitForZero(pids("hidden"), status === 204 ? 0 : boundMs);
    const record = await until(
      "its record",
      async () => ((await runOf("hidden"))?.state === "exited" ? runOf("hidden") : undefined),
      { boundMs },
    );
    assert.equal(record?.endReason, "session-ended");
  });

  it("carries messages of any size both ways, many at once, each to its caller", async () => {
    using client = gateway.mcp("far");
    await client.initialize();
    const big = "ü".repeat(1_000_000);
    assert.equal(text(await client.call("echo", { message: big })), `Echo: ${big}`);
    const words = Array.from({ length: 100 }, (_, index) => `${index}:${"x".repeat(index * 300)}`);
    const answers = await Promise.all(words.map((message) => client.call("echo", { message })));
    assert.deepEqual(
      answers.map(text),
      words.map((word) => `Echo: ${word}`),
    );
    await client.delete();
  });

  it("goes on over a link that is lost and comes back: each call is answered once, and none is lost", async () => {
    using client = gateway.mcp("flaky");
    await client.initialize();
    const node = nodes.get("flaky")!;
    const [server] = await waitForListed(pids("flaky"), 1, boundMs);
    const long = client.call("trigger-long-running-operation", { duration: 3, steps: 3 });
    const heard: (string | undefined)[] = [];
    for (let round = 0; round < 3; round++) {
      const { pid } = node.record.front;
      process.kill(pid, "SIGKILL");
      const some = Array.from({ length: 20 }, (_, index) => client.call("echo", { message: `${round}.${index}` }));
      for (const answer of await Promise.all(some)) heard.push(text(answer));
      await until("another front of the node", () => node.record.front.pid !== pid, { boundMs });
      await node.reaches("connected", round + 2);
    }
    assert.deepEqual(
      heard,
      [0, 1, 2].flatMap((round) => Array.from({ length: 20 }, (_, index) => `Echo: ${round}.${index}`)),
    );
    assert.match(text(await long) ?? "", /completed/);
    assert.deepEqual(
      survivorsOf(pids("flaky")).map(({ pid }) => pid),
      [server?.pid],
      "one process through all of it",
    );
    await client.delete();
  });

  it("is an error that names node and remedy when its node is lost, and starts elsewhere only where the config says so", async () => {
    const clients = ["doomed", "moving", "leaving"].map((name) => gateway.mcp(name));
    for (const client of clients) await client.initialize();
    const [doomed, moving, leaving] = clients as [(typeof clients)[0], (typeof clients)[0], (typeof clients)[0]];
    for (const name of ["doomed", "moving", "leaving"]) await waitForListed(pids(name), 1, boundMs);
    const calls = clients.map((client) => client.callAndHang("trigger-long-running-operation", { duration: 60 }));
    const node = nodes.get("doomed")!;
    await until("three calls", async () => (await list(false)).filter(({ host }) => host === "doomed").length === 3, { boundMs }); // prettier-ignore
    const earlier = ["doomed", "moving", "leaving"].flatMap((name) => survivorsOf(pids(name)));
    const began = performance.now();
    const { front, guardian } = node.record;
    gateway.killAtOnce([guardian.pid, node.pid, front.pid]);
    for (const call of calls) {
      const { kind, detail } = await call;
      assert.equal(kind, "error");
      assert.match(detail, /on node doomed is lost: node doomed did not come back within its lease/);
      assert.match(detail, /`holdfast nodes list`.*hostFallback/);
    }
    const took = performance.now() - began;
    assert.ok(took >= leaseMs - 1000 && took < leaseMs + patiently(2 * agreeMs), `${took} ms`);
    const records = (await list()).filter(({ host }) => host === "doomed");
    assert.deepEqual(
      records.map(({ state, endReason }) => `${state} ${endReason}`),
      ["lost node-lost", "lost node-lost", "lost node-lost"],
    );
    assert.match(
      text(await doomed.call("echo", { message: "1" })) ?? "",
      /node doomed is not connected; start it there/,
    );
    assert.equal(text(await moving.call("echo", { message: "here" })), "Echo: here");
    assert.equal(text(await leaving.call("echo", { message: "there" })), "Echo: there");
    assert.deepEqual([(await runOf("moving"))?.host, (await runOf("leaving"))?.host], ["local", "steady"]);
    // Back with the same ledger: what outlived its keeper is ended, and the record takes its word. A server may have ended of
    // itself, since its input did.
    const outlived = earlier.filter(isLive);
    nodes.set("doomed", await joinNode(gateway, "doomed", { home: node.home, ownsHome: true }));
    const isClosed = async () => (await list()).filter(({ host, state }) => host === "doomed" && state === "exited").length === 3; // prettier-ignore
    await until("records that are closed", isClosed, { boundMs });
    const reasons = (await list()).filter(({ host }) => host === "doomed").map(({ endReason }) => endReason);
    assert.ok(
      reasons.every((reason) => reason === "orphan-swept" || reason === "keeper-lost"),
      String(reasons),
    );
    assert.ok(reasons.filter((reason) => reason === "orphan-swept").length <= outlived.length, String(reasons));
    assert.deepEqual(earlier.filter(isLive), []);
    assert.equal(text(await doomed.call("echo", { message: "back" })), "Echo: back");
    for (const client of clients) {
      await client.delete();
      client.vanish();
    }
  });

  it("that cannot start says why, as it said it over there", async () => {
    const { code, stderr } = await runCommand(home, ["mcp", "probe", "broken"]);
    assert.equal(code, 1);
    assert.match(stderr, /broken wrote to stderr:\n {2}the far reason\n/);
    assert.match(stderr, /exited with code 3/);
  });

  it("of a node that is not there is an error at once", async () => {
    using client = gateway.mcp("absent");
    await assert.rejects(client.initialize(), /nobody/);
  });
});
