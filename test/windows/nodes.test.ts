/** A node on Windows and its gateway on Linux: what is run over there comes back right, and nothing of it stays. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import type { ResultOf } from "../../src/protocol/api/index.ts";
import { Background } from "../helpers/background.ts";
import { Gateway, mainFile, spawnOnTier } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { isWhole } from "../helpers/long.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { descriptorsOf } from "../nodes/helpers/baseline.ts";
import { needsWine } from "./cache.ts";
import { WindowsMachine, type Program } from "./machine.ts";
import { main, programVariable } from "./program.ts";

const atOnce = isWhole ? 50 : 20;
const onceNodes = isWhole ? 5 : 2;
const inARow = isWhole ? 200 : 40;
const counted = 50;
/** Threads that Node.js starts when it needs them. */
const handlesGrownMax = 8;
const config = { stop: { stdinGraceMs: 100, termGraceMs: 300 } };

describe("a node on Windows, under wine", { skip: needsWine(), timeout: patiently(500_000) }, () => {
  const started: Program[] = [];
  let machine: WindowsMachine;
  let home: Home;
  let gateway: Gateway;
  let runs: Background;
  before(async () => {
    machine = await WindowsMachine.start();
    home = new Home(bestTier(), config);
    gateway = await Gateway.start(home);
    runs = new Background(gateway);
    await start("far");
    await isHere("far");
  });
  after(async () => {
    await gateway?.stop();
    await home?.[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  /** The same program as Windows names it. */
  const inside = () => main.map((word) => word.replace(/^.*\/(lib|src)\/main/, String.raw`C:\holdfast\$1\main`));
  const start = async (name: string, ...more: string[]) => {
    const { invite } = await runs.call("node.invite", { name });
    const { hostname, port } = new URL(gateway.url);
    const words = [...inside(), "--state", `C:\\ständ ${name}`, "node", "run", "--host", hostname, "--port", port];
    const program = machine.node([...words, "--name", name, "--invite", invite, ...more], { env: programVariable });
    started.push(program);
    return { program };
  };
  const isHere = (node: string) =>
    until(
      `${node} is here: ${started.map(({ output }) => output).join("\n")}`,
      async () => (await runs.call("node.list", {})).some(({ name, connected }) => name === node && connected),
      { boundMs: 60_000 },
    );
  const script = (index: number) => `echo out ${index}& >&2 echo err ${index}& exit ${index % 100}`;
  const invoke = (index: number) =>
    runs.call("node.invoke", { node: "far", argv: ["cmd.exe", "/d", "/c", script(index)] });
  const check = (index: number, { run, stdout, stderr }: ResultOf<"node.invoke">) => {
    assert.equal(stdout.trim(), `out ${index}`);
    assert.equal(stderr.trim(), `err ${index}`);
    assert.deepEqual([run.state, run.exitCode, run.signal], ["exited", index % 100, null]);
  };
  /** `holdfast nodes run` as a program of its own. */
  const nodesRun = async (index: number) => {
    const words = ["--state", home.stateDir, "nodes", "run", "far", "--", "cmd.exe", "/d", "/c", script(index)];
    const child = spawnOnTier(home, [mainFile, ...words], "pipe");
    const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, "close")]);
    const answer = [stdout.trim(), stderr.trim(), child.exitCode];
    assert.deepEqual(answer, [`out ${index}`, `err ${index}`, index % 100]);
  };
  /** The node itself: its keeper and its front. */
  const own = () =>
    machine
      .live()
      .map(({ pid }) => pid)
      .toSorted((a, b) => a - b);

  it(`answers ${atOnce} \`nodes run\` at once and ${inARow} in a row, and leaves no process, and no descriptor of the gateway`, async () => {
    await nodesRun(1);
    const alone = own();
    const open = () => [gateway.pids.front, gateway.pids.keeper].map(descriptorsOf);
    const openBefore = open();
    const indexes = Array.from({ length: atOnce }, (_, index) => index + 1);
    await Promise.all(indexes.map(nodesRun));
    for (let index = 1; index <= inARow; index += 1) await nodesRun(index);
    await until("only the node itself is left", () => own().join() === alone.join(), { boundMs: 10_000 });
    const isAsBefore = () => open().every((count, at) => count <= openBefore[at]!);
    await until("the gateway's descriptors are those of before", isAsBefore, { boundMs: 5000 });
  });

  it(`holds as many handles after ${counted} runs as before`, async () => {
    const file = join(machine.drive, "ständ far", "keeper.json");
    const { pid, front } = JSON.parse(readFileSync(file, "utf8")) as { pid: number; front: { pid: number } };
    const count = async () => {
      const words = [String.raw`C:\holdfast\test\windows\handles.cjs`, String(pid), String(front.pid)];
      const { output } = await machine.node(words).ended(20_000);
      return output.trim().split(" ").map(Number);
    };
    for (let index = 1; index <= 10; index += 1) check(index, await invoke(index));
    const first = await count();
    for (let index = 1; index <= counted; index += 1) check(index, await invoke(index));
    const last = await count();
    console.log(
      `handles of a node's keeper and front: ${first.join(" and ")}, after ${counted} runs ${last.join(" and ")}`,
    );
    assert.ok(first.length === 2 && first.every((each) => each > 50), first.join());
    const grown = last.map((each, at) => each - (first[at] ?? 0));
    assert.ok(
      grown.every((each) => each <= handlesGrownMax),
      `${first.join(" and ")}, then ${last.join(" and ")}`,
    );
  });

  it("runs a command line in cmd.exe, although its gateway has another shell", async () => {
    check(9, await runs.call("node.invoke", { node: "far", command: script(9) }));
  });

  it(`takes one run with --once, ${onceNodes} nodes at once, and each ends with the code of its run`, async () => {
    const alone = own();
    const nodes = await Promise.all(Array.from({ length: onceNodes }, (_, index) => start(`once-${index}`, "--once")));
    const answers = await Promise.all(
      nodes.map(async (_, index) => {
        await isHere(`once-${index}`);
        const argv = ["cmd.exe", "/d", "/c", script(index)];
        return runs.call("node.invoke", { node: `once-${index}`, argv });
      }),
    );
    for (const [index, answer] of answers.entries()) check(index, answer);
    for (const [index, { program }] of nodes.entries()) assert.equal((await program.ended(20_000)).code, index);
    await until("only the first node is left", () => own().join() === alone.join(), { boundMs: 10_000 });
  });

  it("leaves nothing when it is killed, although a run of it ignores the end of its input", async () => {
    const argv = [String.raw`C:\node\node26.exe`, "-e", "console.log('up'); setInterval(() => {}, 1000)"];
    const { run } = await runs.call("node.invoke", { node: "far", argv, waitMs: 5000 });
    assert.equal(run.state, "running");
    assert.equal(machine.live("setInterval").length, 1);
    for (const { pid } of machine.live(`far`).filter(({ command }) => command.includes("--name")))
      process.kill(pid, "SIGKILL");
    await until("nothing of the node is left", () => machine.live().length === 0, { boundMs: 10_000 });
  });
});
