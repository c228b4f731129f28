/** Holdfast's own tools on `/mcp` of a real gateway: there for whom the config names, and for nobody else. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { shortId } from "../../src/sessions/owner.ts";
import { Background } from "../helpers/background.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { McpClient, type Answer } from "../helpers/mcp-client.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

leavesNothing();
const boundMs = 10_000;
const light = { command: "sh", args: [fixture("light-server.sh")] };
const stop = { stdinGraceMs: 100, termGraceMs: 300 };
const ours = ["exec", "process", "sessions", "status"];

const textOf = ({ result, error }: Answer) => {
  const content = (result?.["content"] ?? []) as { text: string }[];
  return error?.message ?? content.map(({ text }) => text).join("");
};
const detailsOf = ({ result }: Answer) => result?.["structuredContent"] as Record<string, unknown>;
const namesOf = async (client: McpClient) => {
  const { result } = await client.request("tools/list");
  return ((result?.["tools"] ?? []) as { name: string }[]).map(({ name }) => name);
};

async function tokenWith(home: Home, name: string, scopes: string): Promise<string> {
  const { code, stdout, stderr } = await runCommand(home, ["tokens", "add", name, "--scopes", scopes]);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

/** A session on `/mcp`, and one that is a named scope. */
async function enter(gateway: Gateway, token = gateway.token): Promise<McpClient> {
  const client = new McpClient(`${gateway.url}/mcp`, token);
  await client.initialize();
  return client;
}
const scoped = (gateway: Gateway, scope: string) =>
  new McpClient(`${gateway.url}/mcp`, gateway.token, 64, { "x-holdfast-scope": scope });

describe("Holdfast's own tools", { timeout: patiently(90_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  let background: Background;
  before(async () => {
    home = new Home(bestTier());
    const tools = { exec: "run", sessions: "read", status: "admin" };
    home.configure({ mcpServers: { light, exec: light }, exec: { enabled: true }, tools, stop });
    gateway = await Gateway.start(home);
    background = new Background(gateway);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  const liveRuns = async () => (await background.call("run.list", {})).filter(({ state }) => state !== "exited");

  it("are off unless the config names them, also where commands may be run", async () => {
    await using plain = new Home(bestTier());
    plain.configure({ mcpServers: { light }, exec: { enabled: true }, stop });
    await using other = await Gateway.start(plain);
    using client = await enter(other);
    const names = await namesOf(client);
    assert.ok(names.length > 0 && names.every((name) => name.startsWith("light__")), names.join());
    for (const name of ours) assert.match(textOf(await client.call(name, {})), /unknown name/);
    await client.delete();
  });

  it("start no server when they are called", async () => {
    using client = scoped(gateway, "quiet");
    assert.equal(textOf(await client.call("exec", { command: "echo here" })), "here");
    assert.deepEqual(await liveRuns(), []);
    const everStarted = (await background.call("run.list", { all: true })).map(({ kind }) => kind);
    assert.deepEqual([...new Set(everStarted)], ["exec"]);
    await client.delete();
  });

  it("stand beside the servers' under names that no server's tool can have, and are not on a server's own path", async () => {
    using client = await enter(gateway);
    const names = await namesOf(client);
    assert.deepEqual(names.slice(0, 4), ours);
    assert.ok(
      names.some((name) => name.startsWith("exec__")),
      names.join(),
    );
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.slice(4).every((name) => name.includes("__")));
    using alone = gateway.mcp("light");
    await alone.initialize();
    for (const name of ours) assert.ok(!(await namesOf(alone)).includes(name));
    await client.delete();
    await alone.delete();
  });

  it("are seen and called by a token with the scope, and by no other, in whichever session", async () => {
    using all = await enter(gateway);
    const shown = async (scopes: string) => {
      const token = await tokenWith(home, `may-${scopes.replaceAll(",", "-")}`, scopes);
      using client = await enter(gateway, token);
      const names = (await namesOf(client)).filter((name) => !name.includes("__"));
      for (const name of ours.filter((each) => !names.includes(each)))
        assert.match(textOf(await client.call(name, {})), /unknown name/);
      // The session of another token is no way to its tools, and that of a lesser one gives an admin no fewer.
      client.sessionId = all.sessionId;
      if (scopes === "admin") assert.deepEqual((await namesOf(client)).slice(0, names.length), names);
      else await assert.rejects(namesOf(client), /HTTP 404/);
      return names;
    };
    assert.deepEqual(await shown("run"), ["exec", "process"]);
    assert.deepEqual(await shown("run,read"), ["exec", "process", "sessions"]);
    assert.deepEqual(await shown("admin"), ours);
    const reader = await tokenWith(home, "reads", "read");
    await assert.rejects(enter(gateway, reader), /HTTP 403/);
    await all.delete();
  });

  it("show sessions without the ids by which one speaks for them, and the gateway's state", async () => {
    using client = await enter(gateway);
    const { sessions } = detailsOf(await client.call("sessions")) as { sessions: { id: string; isYours: boolean }[] };
    assert.deepEqual(
      sessions.filter(({ isYours }) => isYours).map(({ id }) => id),
      [shortId(client.sessionId ?? "")],
    );
    assert.ok(!JSON.stringify(sessions).includes(String(client.sessionId)));
    const status = detailsOf(await client.call("status"));
    assert.equal(status["tier"], home.tier);
    assert.match(textOf(await client.call("status", { extra: 1 })), /extra/);
    await client.delete();
  });

  it("run a command to its end or leave it in the background, to be polled, logged and killed", async () => {
    using client = await enter(gateway);
    const short = await client.call("exec", { command: "echo out; exit 3" });
    assert.equal(short.result?.["isError"], true);
    assert.match(textOf(short), /^out\n\n\(Command exit code 3\)$/);
    const command = "echo ready; while read line; do echo got $line; done";
    const started = await client.call("exec", { command, background: true });
    const { sessionId } = detailsOf(started);
    const act = (action: string, more: object = {}) => client.call("process", { action, sessionId, ...more });
    await act("write", { data: "one\n" });
    await until("what it said", async () => textOf(await act("log")) === "ready\ngot one", { boundMs });
    assert.match(textOf(await act("poll")), /got one[^]*still running/);
    assert.match(textOf(await act("poll")), /no new output/);
    assert.match(textOf(await client.call("process", { action: "list" })), new RegExp(String(sessionId)));
    using other = await enter(gateway);
    assert.match(textOf(await other.call("process", { action: "kill", sessionId })), /no session/);
    assert.match(textOf(await act("kill")), /ended: cancelled/);
    assert.deepEqual(
      (await liveRuns()).filter(({ kind }) => kind !== "mcp"),
      [],
    );
    await client.delete();
    await other.delete();
  });

  it("end their runs with the session, and a foreground run with its call", async () => {
    using client = await enter(gateway);
    const ids: string[] = [];
    for (const command of ["sleep 1000", "setsid sleep 1000 & wait"])
      ids.push(String(detailsOf(await client.call("exec", { command, background: true }))["sessionId"]));
    using caller = await enter(gateway);
    const foreground = caller.callAndHang("exec", { command: "echo waiting; sleep 1000", yieldMs: 600_000 });
    const running = async () => (await liveRuns()).filter(({ kind }) => kind === "exec");
    const [lonely] = await until(
      "the foreground run",
      async () => {
        const found = (await running()).filter(({ id }) => !ids.includes(id));
        return found.length === 1 ? found : undefined;
      },
      { boundMs },
    );
    caller.vanish();
    assert.equal((await foreground).kind, "closed");
    await until("it ends with its call", async () => (await running()).length === 2, { boundMs });
    await client.delete();
    const ends = async (id: string) => {
      const { state, endReason } = await background.call("run.wait", { id, waitMs: boundMs });
      return [state, endReason];
    };
    assert.deepEqual(await ends(lonely?.id ?? ""), ["exited", "cancelled"]);
    for (const id of ids) assert.deepEqual(await ends(id), ["exited", "session-ended"]);
  });

  it("are there for a stdio client, whose runs end with it", async () => {
    const words = [mainFile, "mcp", "--state", home.stateDir];
    const child = spawn(process.execPath, words, {
      stdio: ["pipe", "pipe", "inherit"],
      env: { PATH: process.env["PATH"] ?? "", HOME: home.directory },
    });
    const left = once(child, "exit");
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ask = async (id: number, method: string, params: object) => {
      child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
      for (;;) {
        const { value = "null" } = (await lines.next()) as { value?: string };
        const heard = JSON.parse(value) as Answer | null;
        assert.ok(heard !== null, "the stream ended");
        if (heard.id === id && heard.method === undefined) return heard;
      }
    };
    await ask(1, "initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "s", version: "1" },
    });
    const call = { name: "exec", arguments: { command: "sleep 1000", background: true } };
    const { sessionId } = detailsOf(await ask(2, "tools/call", call));
    child.stdin.end();
    await left;
    const { endReason } = await background.call("run.wait", { id: String(sessionId), waitMs: boundMs });
    assert.equal(endReason, "session-ended");
  });

  it("go on with a session's runs under the next front", async () => {
    using client = await enter(gateway);
    const { sessionId } = detailsOf(await client.call("exec", { command: "echo kept; sleep 1000", background: true }));
    const { front } = gateway.pids;
    process.kill(front, "SIGKILL");
    await gateway.renewed({ front });
    assert.match(textOf(await client.call("process", { action: "log", sessionId })), /kept/);
    await client.delete();
    const { endReason } = await background.call("run.wait", { id: String(sessionId), waitMs: boundMs });
    assert.equal(endReason, "session-ended");
  });

  it("are tools like any other for the SDK's client", async () => {
    const requestInit = { headers: { authorization: `Bearer ${gateway.token}` } };
    const transport = new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), { requestInit });
    const client = new Client({ name: "sdk", version: "1" });
    await client.connect(transport);
    const { tools } = await client.listTools();
    const exec = tools.find(({ name }) => name === "exec");
    assert.deepEqual(exec?.inputSchema.required, ["command"]);
    const { content } = await client.callTool({ name: "exec", arguments: { command: "echo by sdk" } });
    assert.deepEqual(content, [{ type: "text", text: "by sdk" }]);
    await transport.terminateSession();
    await client.close();
  });
});
