/** A node keeps its promises whoever asks: one connection, runs that go on without it, its own rules, and nothing left. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runCommand } from "../helpers/gateway.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { FakeGateway } from "./helpers/fake-gateway.ts";
import { NodeProcess } from "./helpers/node-process.ts";

const quick = { stop: { stdinGraceMs: 100, termGraceMs: 300 } };

describe("holdfast node run", { timeout: patiently(120_000), concurrency: 4 }, () => {
  leavesNothing();

  it("proves its key, runs what it is asked with streams and codes kept, and says how each ended", async () => {
    await using gateway = await FakeGateway.open();
    await using node = new NodeProcess(gateway.url, ["--name", "mill"], { config: quick });
    const caller = await gateway.arrived();
    assert.deepEqual(caller.proofs, [true]);
    const { id, host } = await caller.start("n1-a", ["sh", "-c", "cat; echo err >&2; exit 7"]);
    assert.deepEqual([id, host], ["n1-a", "local"]);
    const bytes = Buffer.from("given\n").toString("base64");
    for (const end of [false, true]) await caller.ask("exec.write", { run: "n1-a", bytes, at: 0, end });
    assert.deepEqual(await Promise.all([caller.output("n1-a"), caller.output("n1-a", "stderr")]), ["given\n", "err\n"]);
    const ended = await caller.ended("n1-a");
    assert.deepEqual([ended.id, ended.exitCode, ended.endReason], ["n1-a", 7, "exited"]);
    await caller.start("n1-b", ["sh", "-c", "kill -9 $$"]);
    assert.equal((await caller.ended("n1-b")).signal, "SIGKILL");
    assert.deepEqual(await caller.ask("run.list", { all: false }), []);
    assert.equal(statSync(join(node.home.stateDir, "node-key.pem")).mode & 0o777, 0o600);
    // A list of what its person is shown.
    assert.deepEqual(
      node.steps.map(({ phase }) => phase),
      ["connecting", "connected", "started", "ended", "started", "ended"],
    );
    // Whoever read it is gone: that ends nothing.
    for (const stream of [node.child.stdout, node.child.stderr]) stream?.destroy();
    await caller.start("n1-c", ["true"]);
    assert.equal((await caller.ended("n1-c")).exitCode, 0);
    await caller.start("n1-d", ["true"]);
    assert.equal((await caller.ended("n1-d")).exitCode, 0);
  });

  it("holds its own lists, says which rule refused, and starts nothing", async () => {
    await using gateway = await FakeGateway.open();
    const lists = ["--allow-command", "true", "cat", "--allow-directory", "/tmp", "--lease-max", "60000"];
    await using node = new NodeProcess(gateway.url, [...lists, "--ask", "on-miss"], { config: quick });
    const caller = await gateway.arrived();
    const rule =
      /exec_refused: sh \(.*sh\) is not in the node's allowCommands \(true, cat\); there is no person to ask: the node has no terminal/;
    await assert.rejects(caller.start("n1-a", ["sh", "-c", "true"], { cwd: "/tmp" }), rule);
    const place = /exec_refused: cwd: \/usr is in none of the node's allowDirectories \(\/tmp\)/;
    await assert.rejects(caller.start("n1-b", ["true"], { cwd: "/usr" }), place);
    const steer = { cwd: "/tmp", env: { LD_PRELOAD: "/tmp/x.so" } };
    await assert.rejects(caller.start("n1-c", ["true"], steer), /LD_PRELOAD may not be set/);
    const long = caller.start("n1-e", ["true"], { cwd: "/tmp", leaseMs: 60_001 });
    await assert.rejects(long, /exec_refused: .*the node's leaseMaxMs is 60000/);
    await assert.rejects(caller.ask("exec.wait", { run: "n1-a", waitMs: 0 }), /run_unknown/);
    await caller.start("n1-d", ["true"], { cwd: "/tmp" });
    assert.equal((await caller.ended("n1-d")).exitCode, 0);
    assert.equal((await node.reaches("refused")).code, "exec_refused");
  });

  it("comes back over one connection when the link, or its front, is lost: runs go on, and a start asked again is the same", async () => {
    await using gateway = await FakeGateway.open();
    await using node = new NodeProcess(gateway.url, [], { config: quick });
    const first = await gateway.arrived();
    const mark = join(node.home.directory, "mark");
    const argv = ["sh", "-c", `echo ran >> ${mark}; echo first; read line; echo second`];
    await first.start("n1-a", argv);
    const born = async () => (await first.ask("run.list", { all: false }))[0]?.pid ?? false;
    const pid = await until("the command is born", born, { boundMs: 10_000 });
    first.socket.terminate();
    const second = await gateway.arrived(2);
    const [told] = (await second.hears("runs")).runs;
    assert.deepEqual([told?.request, told?.run.state, told?.run.pid], ["n1-a", "running", pid]);
    assert.equal((await second.start("n1-a", argv)).pid, pid);
    const { front } = node.record;
    process.kill(front.pid, "SIGKILL");
    const third = await gateway.arrived(3);
    assert.equal((await third.start("n1-a", argv)).pid, pid);
    await third.ask("exec.write", { run: "n1-a", bytes: "", at: 0, end: true });
    assert.equal(await third.output("n1-a"), "first\nsecond\n");
    assert.equal(readFileSync(mark, "utf8"), "ran\n");
    assert.deepEqual(
      gateway.callers.map(({ closed }) => closed !== undefined),
      [true, true, false],
    );
    const instances = gateway.callers.flatMap(({ words }) =>
      words.flatMap((word) => (word.type === "prove" ? [word.instance] : [])),
    );
    assert.equal(new Set(instances).size, 1);
  });

  it("ends what it runs when nobody renews the lease, with its front stopped, and tells the truth when it is back", async () => {
    await using gateway = await FakeGateway.open();
    await using node = new NodeProcess(gateway.url, [], { config: { ...quick, limits: { frontStuckMs: 0 } } });
    const first = await gateway.arrived();
    await first.start("n1-a", ["sh", "-c", "sleep 1000 & sleep 1000"], { leaseMs: 1500 });
    await until("the whole tree", () => node.home.marked().length >= 3, { boundMs: 10_000, everyMs: 5 });
    const { front } = node.record;
    process.kill(front.pid, "SIGSTOP");
    await until("the tree is gone", () => node.home.marked().length === 0, { boundMs: 10_000, everyMs: 10 });
    process.kill(front.pid, "SIGCONT");
    const { endReason, state } = await first.ended("n1-a");
    assert.deepEqual([state, endReason], ["exited", "lease-expired"]);
  });

  it("after the death of its keeper nothing runs on, and the next one says so", async () => {
    await using gateway = await FakeGateway.open();
    await using first = new NodeProcess(gateway.url, [], { config: quick });
    const argv = ["sh", "-c", "sleep 1000 & sleep 1000"];
    await (await gateway.arrived()).start("n1-a", argv);
    first.child.kill("SIGKILL");
    await until("the guardian has ended all", () => first.home.marked().length === 0, { boundMs: 10_000 });
    await using next = new NodeProcess(gateway.url, [], { home: first.home });
    const caller = await gateway.arrived(2);
    const [told] = (await caller.hears("runs")).runs;
    assert.equal(told?.run.state, "exited");
    assert.match(told?.run.endReason ?? "", /keeper-lost|orphan-swept/);
    // At most once holds over the keeper's death, too.
    assert.equal((await caller.start("n1-a", argv)).state, "exited");
    assert.equal(next.home.marked().length, 0);
  });

  for (const end of ["SIGTERM", "holdfast stop"] as const) {
    it(`${end} ends all it runs, tells the gateway, and leaves nothing`, async () => {
      await using gateway = await FakeGateway.open();
      const stop = { stdinGraceMs: 100, termGraceMs: end === "SIGTERM" ? 1000 : 300 };
      await using node = new NodeProcess(gateway.url, [], { config: { stop } });
      const caller = await gateway.arrived();
      const stubborn = ["sh", "-c", "trap '' TERM; sleep 1000"];
      await caller.start("n1-a", stubborn);
      if (end === "SIGTERM") {
        node.child.kill("SIGTERM");
        const isStopping = () => caller.words.some((word) => word.type === "state" && word.run.state === "stopping");
        await until("it is stopping", isStopping, { boundMs: 5000, everyMs: 1 });
        // It takes nothing new, and says so; what it started it knows, however late the question comes again.
        const [again] = await Promise.all([
          caller.start("n1-a", stubborn),
          assert.rejects(caller.start("n1-b", ["true"]), /node_absent: the node is stopping; nothing was started/),
        ]);
        assert.equal(again.id, "n1-a");
      } else {
        const shown = await runCommand(node.home, ["ps"]);
        assert.match(shown.stderr, /belongs to node [0-9a-f]{32}, which does not listen/);
        assert.match((await runCommand(node.home, ["stop"])).stdout, /^the node \(pid \d+\) has ended$/m);
      }
      assert.equal((await caller.ended("n1-a")).endReason, "shutdown");
      assert.equal(await node.ended(), 0);
      await until("goodbye", () => caller.closed === 1000, { boundMs: 5000 });
    });
  }

  it("a gateway that is silent, or talks nonsense, is left and dialled again", async () => {
    await using gateway = await FakeGateway.open({ mute: true, beatMs: 200 });
    await using node = new NodeProcess(gateway.url, [], { config: quick });
    const first = await gateway.arrived();
    first.say({ type: "ask", id: 1, name: "run.start", params: {} } as never);
    assert.match((await node.reaches("lost")).text, /it sent a word that there is not/);
    const second = await gateway.arrived(2);
    // A frozen one: it reads nothing, so it answers no ping either.
    second.socket.pause();
    assert.match((await node.reaches("lost", 2)).text, /nothing was heard of it for 2000 ms/);
    await gateway.arrived(3);
  });
});
