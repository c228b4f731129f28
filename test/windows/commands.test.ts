/** The commands of a person at a gateway on Windows, each started as a program of its own, under wine. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { McpClient } from "../helpers/mcp-client.ts";
import { patiently, until } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { WindowsGateway } from "./gateway.ts";
import { WindowsMachine } from "./machine.ts";

const boundMs = 10_000;
const node = String.raw`C:\node\node26.exe`;
const server = String.raw`C:\holdfast\test\windows\server.cjs`;
const config = ["--config", String.raw`C:\holdfast.json`];

describe("commands at a gateway on Windows, under wine", { skip: needsWine(), timeout: patiently(200_000) }, () => {
  let machine: WindowsMachine;
  let gateway: WindowsGateway;
  before(async () => {
    machine = await WindowsMachine.start();
    gateway = await WindowsGateway.start(machine, { plain: "plain" }, { exec: { enabled: true } });
  });
  after(() => machine[Symbol.asyncDispose]());

  async function run(...words: string[]): Promise<string> {
    const { code, output } = await gateway.command(words);
    assert.equal(code, 0, `${words.join(" ")}: ${output}`);
    return output;
  }
  const shown = async <T>(...words: string[]) => JSON.parse(await run("--json", ...words)) as T;
  const isGone = (of: string) => until(`no process of ${of} is left`, () => gateway.of(of).length === 0, { boundMs });

  it("sessions lists a session and ends it with its server", async () => {
    using _client = await gateway.open("plain");
    const [session] = await shown<{ id: string }[]>("sessions", "list");
    await run("sessions", "end", session?.id ?? "");
    await isGone("plain");
    assert.deepEqual(await shown("sessions", "list"), []);
  });

  it("process and logs reach a background run, during its life and after", async () => {
    const script = "process.stdin.on('data', (data) => console.log('heard ' + String(data).trim())); console.log('up')";
    const { id } = await shown<{ id: string }>("exec", "--background", "--", node, "-e", script);
    const listed = await shown<{ id: string; state: string }[]>("process", "list");
    assert.deepEqual(
      listed.map((one) => [one.id, one.state]),
      [[id, "running"]],
    );
    await run("process", "submit", id, "häß");
    await until("it heard that", async () => (await run("logs", id)).includes("heard häß"), { boundMs });
    await run("process", "kill", id);
    assert.match(await run("process", "wait", id), /cancelled/);
    assert.match(await run("logs", id), /^up\r?\nheard häß/);
    await run("process", "clear", id);
    assert.deepEqual(await shown("process", "list", "--all"), []);
  });

  it("restart replaces the front, and sessions go on", async () => {
    using client = await gateway.open("plain");
    const earlier = gateway.front.map(({ pid }) => pid);
    await run("restart");
    assert.equal(gateway.front.length, 1);
    assert.notEqual(gateway.front[0]?.pid, earlier[0]);
    const { result } = await client.call("echo", { message: "on" });
    assert.deepEqual(result?.["content"], [{ type: "text", text: "on" }]);
    assert.deepEqual(await shown("crashes"), []);
    await client.delete();
    await isGone("plain");
  });

  it("add and remove change a gateway that runs", async () => {
    await run(...config, "add", "other", "--", node, server, "other", "plain");
    assert.match(await run(...config, "list"), /^other\b/m);
    using _client = await gateway.open("other");
    assert.equal(gateway.of("other").length, 1);
    await run(...config, "remove", "other");
    await isGone("other");
    assert.doesNotMatch(await run(...config, "list"), /^other\b/m);
  });

  it("tokens revoke ends what was opened with a token", async () => {
    const added = await shown<{ token: string }>("tokens", "add", "ci");
    using client = new McpClient(`${gateway.url}/mcp/plain`, added.token);
    await client.initialize();
    await run("tokens", "revoke", "ci");
    await isGone("plain");
    using late = new McpClient(`${gateway.url}/mcp/plain`, added.token);
    await assert.rejects(late.initialize(), /401/);
  });

  it("connect prints the lines for clients, and metrics are served", async () => {
    assert.match(await run("connect"), /claude mcp add .*127\.0\.0\.1:\d+\/mcp/);
    const answer = await fetch(`${gateway.url}/metrics`, { headers: { authorization: `Bearer ${gateway.token}` } });
    assert.deepEqual([answer.status, /^holdfast_/m.test(await answer.text())], [200, true]);
  });
});
