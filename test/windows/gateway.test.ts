/** A gateway on Windows under wine: whichever way an owner ends, nothing of its servers is left. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { McpClient } from "../helpers/mcp-client.ts";
import { patiently, until } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { main, state, WindowsGateway } from "./gateway.ts";
import { playInside } from "./inside.ts";
import { WindowsMachine } from "./machine.ts";

/** The server, two helpers that have ended by then, and two that hide. */
const stubbornProcesses = 3;
const servers = { plain: "plain", stubborn: "stubborn" } as const;
const sessions = 200;
const atOnce = 4;
/** Connections that a client keeps, and threads that Node.js starts when it needs them. */
const handlesGrownMax = 8;

interface Status {
  readonly keeper: { readonly pid: number };
  readonly front: { readonly pid: number };
}

const options = { skip: needsWine(), timeout: patiently(300_000) };

async function gone(what: string, look: () => unknown[]): Promise<void> {
  await until(`${what} is gone`, () => look().length === 0, { boundMs: 10_000 }).catch(() => {});
  assert.deepEqual(look(), [], what);
}

describe("a gateway on Windows under wine", options, () => {
  let machine: WindowsMachine;
  let gateway: WindowsGateway;
  before(async () => {
    machine = await WindowsMachine.start();
    gateway = await WindowsGateway.start(machine, servers, {
      exec: { enabled: true, allowDirectories: ["c:\\"] },
      tools: { exec: "run" },
    });
  });
  after(() => machine[Symbol.asyncDispose]());

  async function end(client: McpClient): Promise<number> {
    const status = await client.delete();
    client.vanish();
    assert.ok(status === 204 || status === 202, String(status));
    return status;
  }

  /** An answer of 204 is the proof that nothing is left; a slow machine answers 202 after a second. */
  async function endWhole(client: McpClient, server: string): Promise<void> {
    if ((await end(client)) === 204) assert.deepEqual(gateway.of(server), [], "when DELETE is answered");
    await gone("the server", () => gateway.of(server));
  }

  async function openStubborn() {
    const client = await gateway.open("stubborn");
    // A process that wine is still loading is shown as wine's own, and none of Windows yet.
    const isHidden = ({ command }: { command: string }) => command.endsWith(" inner") && !command.includes("wine64");
    const isWhole = () => {
      const all = gateway.of("stubborn");
      return all.length === stubbornProcesses && all.filter(isHidden).length === 2;
    };
    await until("its helpers hide", isWhole, { boundMs: 10_000 });
    return client;
  }

  it("serves a session, whose end ends its server", async () => {
    using client = await gateway.open("plain");
    const { result } = await client.call("echo", { message: "häß 字" });
    assert.deepEqual(result?.["content"], [{ type: "text", text: "häß 字" }]);
    assert.equal(gateway.of("plain").length, 1);
    await endWhole(client, "plain");
  });

  it("ends a server that ignores the end of its input, with helpers that hide from it", async () => {
    using client = await openStubborn();
    await endWhole(client, "stubborn");
  });

  it("keeps a session over the death of its front", async () => {
    using client = await openStubborn();
    const [front] = gateway.front;
    assert.ok(front !== undefined);
    process.kill(front.pid, "SIGKILL");
    await until(
      "a new front serves",
      () => gateway.program.output.includes("front restarted") && gateway.front.length === 1,
      { boundMs: 20_000 },
    );
    const { result } = await client.call("echo", { message: "again" });
    assert.deepEqual(result?.["content"], [{ type: "text", text: "again" }]);
    await endWhole(client, "stubborn");
  });

  it("shows itself to commands", async () => {
    using client = await gateway.open("plain");
    const status = await gateway.command(["--json", "status"]);
    assert.equal(status.code, 0, status.output);
    assert.equal((JSON.parse(status.output) as { tier: string }).tier, "job");
    const runs = await gateway.command(["--json", "ps"]);
    const [run] = JSON.parse(runs.output) as { state: string; processes: { command: string }[] }[];
    assert.equal(run?.state, "running");
    assert.deepEqual(
      run.processes.map(({ command }) => /server\.cjs (\w+)/.exec(command)?.[1]),
      ["plain"],
    );
    await client.delete();
  });

  it(`holds as many handles after ${sessions} sessions as before`, async () => {
    const { keeper, front } = JSON.parse((await gateway.command(["--json", "status"])).output) as Status;
    const count = async () => {
      const words = [String.raw`C:\holdfast\test\windows\handles.cjs`, keeper.pid, front.pid].map(String);
      const { output } = await machine.node(words).ended(20_000);
      return output.trim().split(" ").map(Number);
    };
    const open = async (some: number) => {
      for (let index = 0; index < some; index += 1) await end(await gateway.open("plain"));
    };
    const together = (some: number) => Promise.all(Array.from({ length: atOnce }, () => open(some / atOnce)));
    await together(2 * atOnce);
    const first = await count();
    await together(sessions);
    const last = await count();
    const grown = last.map((each, index) => each - (first[index] ?? 0));
    assert.ok(
      grown.every((each) => each <= handlesGrownMax),
      `${first.join(" and ")}, then ${last.join(" and ")}`,
    );
  });

  it("runs commands in the foreground and in the background", async () => {
    const program = String.raw`C:\node\node26.exe`;
    const script = "console.log('out'); console.error('err'); process.exit(7)";
    const front = await gateway.command(["exec", "--", program, "-e", script]);
    assert.deepEqual([front.code, front.output.split("\n").toSorted()], [7, ["", "err", "out"]]);
    const words = [program, String.raw`C:\holdfast\test\windows\server.cjs`, "background", "inner"];
    const started = await gateway.command(["exec", "--background", "--", ...words]);
    const id = started.output.trim().split(/\s+/).at(-1) ?? "";
    assert.equal(gateway.of("background").length, 1, started.output);
    const killed = await gateway.command(["process", "kill", id]);
    assert.match(killed.output, /ended: cancelled/);
    assert.deepEqual(gateway.of("background"), []);
  });

  it("runs a line of the tool `exec` in cmd.exe", async () => {
    using client = new McpClient(`${gateway.url}/mcp`, gateway.token);
    await client.initialize();
    const command = `cd & echo "a  b" & (if "x"=="x" echo %OS%) & exit 3`;
    const { result } = await client.call("exec", { command, workdir: String.raw`C:\node`, yieldMs: 20_000 });
    const { text } = (result as { content: [{ text: string }] }).content[0];
    assert.match(text, /"a {2}b" \r?\n/);
    assert.match(text, /Windows_NT/);
    assert.match(text, /\b3\b/);
    const outside = await client.call("exec", { command: "cd", workdir: "Z:\\" });
    assert.match(JSON.stringify(outside), /is in none of exec\.allowDirectories/);
    await end(client);
  });

  it("ends the session of `holdfast mcp` with it, however it ends", async (t) => {
    const env = { HOLDFAST_TEST_MAIN: main, HOLDFAST_TEST_STATE: state };
    await playInside(machine, t, "shim.ts", { testsMin: 4, env });
    await gone("the server", () => gateway.of("stubborn"));
  });

  it("stops in order on `holdfast stop`", async () => {
    using client = await openStubborn();
    const { code, output } = await gateway.command(["stop"]);
    assert.equal(code, 0, output);
    assert.deepEqual(machine.live(), []);
    assert.match(gateway.program.output, /stopping on SIGTERM/);
    client.vanish();
  });

  it("starts again on `restart --all`, with nothing of before", async () => {
    gateway = await WindowsGateway.start(machine, servers);
    using client = await openStubborn();
    const [earlier] = gateway.keeper;
    const { code, output } = await gateway.command(["restart", "--all"]);
    assert.equal(code, 0, output);
    assert.deepEqual(gateway.of("stubborn"), []);
    assert.equal(gateway.keeper.length, 1);
    assert.notEqual(gateway.keeper[0]?.pid, earlier?.pid);
    client.vanish();
  });

  it("stops in order when the terminal is closed, in which it was started", async () => {
    using client = await openStubborn();
    const { launcher } = gateway;
    assert.equal(launcher.length, 1);
    for (const { pid } of launcher) process.kill(pid, "SIGKILL");
    await gone("everything", () => machine.live());
    assert.match(gateway.program.output, /stopping on SIGTERM/);
    assert.doesNotMatch((await gateway.command(["crashes"])).output, /keeper/);
    client.vanish();
  });

  it("runs on Node.js 24, too", async () => {
    gateway = await WindowsGateway.start(machine, servers, {}, "24");
    using client = await openStubborn();
    await endWhole(client, "stubborn");
    assert.equal((await gateway.command(["stop"])).code, 0);
    assert.deepEqual(machine.live(), []);
  });

  for (const killed of ["keeper", "front and keeper"])
    it(`ends everything when its ${killed} is killed`, async () => {
      gateway = await WindowsGateway.start(machine, servers);
      using client = await openStubborn();
      const { keeper, front } = gateway;
      assert.deepEqual([keeper.length, front.length], [1, 1]);
      for (const { pid } of killed === "keeper" ? keeper : [...front, ...keeper]) process.kill(pid, "SIGKILL");
      await gone("everything", () => machine.live());
      client.vanish();
    });
});
