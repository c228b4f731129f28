/** "Run it over there, get the result, leave nothing there": the gateway, real nodes, and whoever asks. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { HoldfastClient } from "../../src/client/index.ts";
import type { ResultOf } from "../../src/protocol/api/index.ts";
import { Background } from "../helpers/background.ts";
import { Gateway, mainFile, spawnOnTier } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { isWhole } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { McpClient } from "../helpers/mcp-client.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { descriptorsOf, familyOf } from "./helpers/baseline.ts";
import { LittleNode } from "./helpers/little-node.ts";
import { Key } from "./helpers/told.ts";
import { NodeProcess } from "./helpers/node-process.ts";

leavesNothing();
const quick = { stop: { stdinGraceMs: 100, termGraceMs: 300 } };
const atOnce = 50;
const inARow = isWhole ? 200 : 60;
const onceNodes = isWhole ? 10 : 5;

describe("runs on real nodes", { timeout: patiently(240_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  let runs: Background;
  let far: NodeProcess;
  before(async () => {
    home = new Home(bestTier(), { ...quick, tools: { nodes: "run" } });
    gateway = await Gateway.start(home);
    runs = new Background(gateway);
    const { invite } = await runs.call("node.invite", { name: "far" });
    far = new NodeProcess(gateway.url, ["--invite", invite], { config: quick });
    await far.reaches("connected");
  });
  after(async () => {
    await far[Symbol.asyncDispose]();
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  const isHere = (node: string) =>
    until(`${node} is here`, async () => (await runs.call("node.describe", { node })).node.connected, {
      boundMs: 10_000,
    });
  const invoke = (node: string, script: string, stdin?: string) =>
    runs.call("node.invoke", { node, argv: ["sh", "-c", script], ...(stdin === undefined ? {} : { stdin }) });
  /** Says who it is on each stream, and ends in its own way; every fifth by a signal. */
  const script = (index: number) =>
    `cat; echo out ${index}; echo err ${index} >&2; ${index % 5 === 0 ? "kill -TERM $$" : `exit ${index % 100}`}`;
  const check = (index: number, { run, stdout, stderr }: ResultOf<"node.invoke">) => {
    assert.equal(stdout, `in ${index}\nout ${index}\n`);
    assert.equal(stderr, `err ${index}\n`);
    assert.equal(run.state, "exited");
    assert.deepEqual([run.exitCode, run.signal], index % 5 === 0 ? [null, "SIGTERM"] : [index % 100, null]);
  };
  const holdfast = async (...words: string[]) => {
    const child = spawnOnTier(home, [mainFile, "--state", home.stateDir, ...words], "pipe");
    const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, "close")]);
    return { code: child.exitCode, stdout, stderr };
  };

  it(`are each told apart, ${atOnce} at once and ${inARow} in a row, and leave neither a process nor a descriptor on either side`, async () => {
    check(1, await invoke("far", script(1), "in 1\n"));
    const sides = { gateway: gateway.pids.keeper, node: far.pid };
    const familiesBefore = Object.values(sides).map((pid) => familyOf(pid));
    const descriptors = () =>
      [gateway.pids.front, gateway.pids.keeper, far.pid, far.record.front.pid].map(descriptorsOf);
    const openBefore = descriptors();
    const indexes = Array.from({ length: atOnce }, (_, index) => index + 1);
    const answers = await Promise.all(indexes.map((index) => invoke("far", script(index), `in ${index}\n`)));
    for (const [at, answer] of answers.entries()) check(indexes[at]!, answer);
    for (let index = 1; index <= inARow; index += 1) check(index, await invoke("far", script(index), `in ${index}\n`));
    assert.equal(new Set(answers.map(({ run }) => run.id)).size, atOnce);
    assert.deepEqual(
      Object.values(sides).map((pid) => familyOf(pid)),
      familiesBefore,
    );
    await until(
      "the descriptors are those of before",
      () => descriptors().every((open, at) => open <= openBefore[at]!),
      {
        boundMs: 5000,
      },
    ).catch(() => assert.deepEqual(descriptors(), openBefore));
    const { node } = await runs.call("node.describe", { node: "far" });
    assert.equal(node.runs, 0);
  });

  it("are told with the last bytes of each stream, and as they are when the time to wait is over", async () => {
    const argv = ["sh", "-c", "seq 1000; echo err >&2"];
    const cut = await runs.call("node.invoke", { node: "far", argv, outputBytesMax: 5 });
    const { run: _, ...streams } = cut;
    assert.deepEqual(streams, { stdout: "1000\n", stderr: "err\n", stdoutBytes: 3893, stderrBytes: 4 });
    const lasting = ["sh", "-c", "echo begun; exec sleep 1000"];
    const { run, stdout } = await runs.call("node.invoke", { node: "far", argv: lasting, waitMs: 1000 });
    assert.deepEqual([run.state, stdout], ["running", "begun\n"]);
    await runs.call("run.kill", { id: run.id });
  });

  it("carry 100 MB with bounded memory", async () => {
    const bytes = 100_000_000;
    const { id } = await runs.start({
      host: "far",
      argv: ["head", "-c", String(bytes), "/dev/zero"],
      background: false,
    });
    const digest = createHash("sha256");
    const pids = [gateway.pids.front, gateway.pids.keeper, far.pid, far.record.front.pid];
    const rss = () =>
      pids.map((pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]));
    const [first, most] = [rss(), rss()];
    let half = most;
    for (let offset = 0, isOver = false; !isOver;) {
      const piece = await runs.call("run.log", { id, offset, bytesMax: 256 * 1024, waitMs: 5000, pace: true });
      assert.equal(piece.offset, offset, "nothing was written over");
      digest.update(Buffer.from(piece.bytes, "base64"));
      offset = piece.nextOffset;
      isOver = piece.run.state === "exited" && offset >= piece.printed;
      for (const [at, now] of rss().entries()) most[at] = Math.max(most[at]!, now);
      if (offset <= bytes / 2) half = [...most];
    }
    const expected = createHash("sha256").update(Buffer.alloc(bytes)).digest("hex");
    assert.equal(digest.digest("hex"), expected);
    const mib = (from: number[]) => most.map((kib, at) => Math.round((kib - from[at]!) / 1024));
    const [grown, later] = [mib(first), mib(half)];
    const said = `grew by ${grown.join(", ")} MiB, of it ${later.join(", ")} in the second half`;
    // What collects garbage late comes to rest; what keeps the output grows by as much again, and by all that is carried.
    assert.ok(
      later.every((each) => each < 32),
      said,
    );
    assert.ok(
      grown.every((each) => each < 80),
      said,
    );
  });

  it(`come back from ${onceNodes} nodes of one run each, which are gone with the run's own exit code`, async () => {
    const one = async (index: number) => {
      const { invite } = await runs.call("node.invite", { name: `once-${index}` });
      await using node = new NodeProcess(gateway.url, ["--once", "--invite", invite], { config: quick });
      await node.reaches("connected");
      check(index, await invoke(`once-${index}`, script(index), `in ${index}\n`));
      assert.equal(await node.ended(), index % 5 === 0 ? 128 + 15 : index % 100);
    };
    const waiting = Array.from({ length: onceNodes }, (_, index) => index + 1);
    const lane = async () => {
      for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) await one(index);
    };
    await Promise.all([lane(), lane(), lane()]);
    const nodes = await runs.call("node.list", {});
    assert.equal(nodes.filter(({ connected }) => connected).length, 1);
  });

  it("pass through `nodes run`: streams apart, exit code and signal kept, errors with their remedy", async () => {
    const { invite } = await runs.call("node.invite", { name: "absent" });
    const seenOnce = new LittleNode(gateway.url, new Key(), { invite });
    await seenOnce.hears("welcome");
    await seenOnce[Symbol.asyncDispose]();
    const long = "head -c 1100000 /dev/zero; echo end; echo err >&2; exit 9";
    const [code, signal, ended, unknown, absent, json] = await Promise.all([
      holdfast("nodes", "run", "far", "--", "sh", "-c", "echo out; echo err >&2; exit 7"),
      holdfast("nodes", "run", "far", "--env", "A=b", "--cwd", "/tmp", "--", "sh", "-c", "pwd; echo $A; kill -9 $$"),
      holdfast("exec", "--host", "far", "--timeout", "200", "--", "sleep", "1000"),
      holdfast("nodes", "run", "moon", "--", "true"),
      holdfast("nodes", "run", "absent", "--", "true"),
      holdfast("nodes", "run", "far", "--json", "--", "sh", "-c", long),
    ]);
    const { run, stdout, ...rest } = JSON.parse(json.stdout) as ResultOf<"node.invoke">;
    assert.deepEqual([json.code, json.stderr, run.state, run.exitCode], [9, "", "exited", 9]);
    assert.deepEqual([stdout.length, stdout.slice(-5)], [1024 * 1024, "\0end\n"]);
    assert.deepEqual(rest, { stderr: "err\n", stdoutBytes: 1_100_004, stderrBytes: 4 });
    assert.deepEqual(code, { code: 7, stdout: "out\n", stderr: "err\n" });
    assert.deepEqual([signal.code, signal.stdout], [137, "/tmp\nb\n"]);
    assert.match(ended.stderr, /ended: timeout, signal SIGTERM/);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no node "moon"; `holdfast nodes list` shows those there are/);
    assert.equal(absent.code, 1);
    assert.match(absent.stderr, /node absent is not connected; start it there with `holdfast node run`/);
  });

  it("belong to their session and scope wherever they are, and are seen with their processes", async () => {
    await using client = await HoldfastClient.connect({ state: home.stateDir, url: gateway.url, token: gateway.token });
    const session = await client.openSession();
    const scope = { sessionId: session.id, scopeKey: "one", replaceExistingScope: true };
    const first = await client.call("run.start", { host: "far", argv: ["sleep", "1000"], ...scope });
    const second = await client.call("run.start", { host: "far", argv: ["sleep", "2000"], ...scope });
    assert.equal((await runs.ended(first.id)).endReason, "scope-replaced");
    // A process that was just forked still has its parent's command line.
    const findSleep = async () =>
      (await runs.live()).find(({ processes }) => processes.some(({ command }) => command === "sleep 2000"));
    const live = await until("it shows what it runs", findSleep, { boundMs: 10_000 });
    assert.deepEqual([live.id, live.host, live.state], [second.id, "far", "running"]);
    assert.match((await holdfast("ps")).stdout, /on far +running .*\n.*sleep 2000/);
    await client.endSession(session.id);
    assert.equal((await runs.ended(second.id)).endReason, "session-ended");
  });

  it("are an agent's to start by the tool `nodes`, where the config offers it", async () => {
    const agent = new McpClient(`${gateway.url}/mcp`, gateway.token);
    await agent.initialize();
    const use = async (words: object) => {
      const { result } = await agent.request("tools/call", { name: "nodes", arguments: words });
      return result as { isError?: boolean; content: { text: string }[]; structuredContent: Record<string, unknown> };
    };
    const status = await use({ action: "status" });
    assert.match(status.content[0]?.text ?? "", /far: connected, linux-/);
    const good = await use({ action: "run", node: "far", command: "cat; pwd", stdin: "in\n", workdir: "/tmp" });
    assert.deepEqual([good.isError, good.content[0]?.text], [undefined, "in\n/tmp"]);
    const bad = await use({ action: "run", node: "far", command: "echo no >&2; exit 3" });
    assert.deepEqual([bad.isError, bad.content[0]?.text], [true, "stderr:\nno\n\n(exit code 3 on far)"]);
    const long = await use({ action: "run", node: "far", command: "sleep 1000", yieldMs: 50 });
    assert.equal(long.structuredContent["status"], "running");
    const none = await use({ action: "run", node: "moon", command: "true" });
    assert.equal(none.structuredContent["code"], "node_unknown");
    await agent.delete();
    const ended = await runs.ended(String(long.structuredContent["sessionId"]));
    assert.equal(ended.endReason, "session-ended", "it ends with the agent's session");
  });

  it("go on under the next front, and end with the approval of their node", async () => {
    const { id } = await runs.start({ host: "far", argv: ["sh", "-c", "echo begun; exec sleep 1000"] });
    await runs.output(id, (printed) => printed.includes("begun"));
    const { front } = gateway.pids;
    process.kill(front, "SIGKILL");
    await gateway.renewed({ front });
    await isHere("far");
    assert.equal(await runs.output(id, (printed) => printed.includes("begun")), "begun\n");
    const [live] = await runs.live();
    assert.deepEqual([live?.id, live?.state], [id, "running"]);
    const revoked = JSON.parse((await holdfast("nodes", "revoke", "far", "--json")).stdout) as ResultOf<"node.revoke">;
    assert.deepEqual([revoked.state, revoked.runs], ["revoked", 0]);
    assert.equal((await runs.ended(id)).endReason, "cancelled");
    await assert.rejects(invoke("far", "true"), /node far is revoked, not approved/);
  });
});
