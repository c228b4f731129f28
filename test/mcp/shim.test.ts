/** `holdfast mcp`: a stdio client's whole session hangs on one tiny process, and ends with it in whatever way. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { fixture } from "../helpers/servers.ts";
import { anyTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { actorFile } from "./helpers/assembled.ts";
import { connect } from "./helpers/peers.ts";

leavesNothing();
const boundMs = 15_000;
const tier = anyTier();
const light = { command: "sh", args: [fixture("light-server.sh")] };
/** Knows no sessions. */
const s = { command: process.execPath, args: [fixture("stateless-server.ts")] };
/** Knows nothing else, and asks its client. */
const actor = { command: process.execPath, args: [actorFile, "actor", "act"] };

/** What a request of the stateless revision says of itself. */
const meta = (protocolVersion = "2026-07-28") => ({
  _meta: {
    "io.modelcontextprotocol/protocolVersion": protocolVersion,
    "io.modelcontextprotocol/clientCapabilities": {},
  },
});

interface Line {
  id?: number;
  method?: string;
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: { supported?: string[] } };
}

/** A stdio client with the shim as its server. */
class Client implements Disposable {
  readonly child: ChildProcess;
  /** Methods of what was said to it. */
  readonly heard: string[] = [];
  readonly #lines: AsyncIterator<string>;
  #id = 0;

  constructor(home: Home, words: string[] = []) {
    const args = [mainFile, "mcp", "--state", home.stateDir, ...words];
    const env = { PATH: process.env["PATH"] ?? "", HOME: home.directory };
    this.child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"], env });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  async ask(method: string, params: object = {}): Promise<Line> {
    const id = ++this.#id;
    this.child.stdin!.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    for (;;) {
      const { value, done } = await this.#lines.next();
      assert.ok(done !== true, "the shim's output ended");
      const line = JSON.parse(value) as Line;
      if (line.method !== undefined) this.heard.push(line.method);
      if (line.id === id) return line;
    }
  }

  async begin(): Promise<this> {
    const clientInfo = { name: "shim-test", version: "1" };
    const answer = await this.ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
    assert.equal(answer.error, undefined);
    assert.match(JSON.stringify((await this.ask("tools/call", { name: "light__echo" })).result), /Echo/);
    return this;
  }

  [Symbol.dispose](): void {
    this.child.kill("SIGKILL");
    this.child.stdin?.destroy();
    this.child.stdout?.destroy();
  }
}

describe("holdfast mcp", { timeout: patiently(60_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    home = new Home(tier, { mcpServers: { light, s, actor }, stop: { stdinGraceMs: 500, termGraceMs: 500 } });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  const counts = async () => {
    const [sessions, runs] = (await Promise.all([gateway.rpc("session.list"), gateway.rpc("run.list")])) as unknown[][];
    return [sessions?.length, runs?.length];
  };
  const empty = () => until("no session and no run", async () => String(await counts()) === "0,0", { boundMs });

  it("costs less than 0.5 MB once it stands, and is no Node process any more", async () => {
    using client = await new Client(home).begin();
    const status = readFileSync(`/proc/${client.child.pid}/status`, "latin1");
    const residentKb = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
    assert.ok(residentKb < 512, `${residentKb} kB`);
    client.child.stdin!.end();
    await once(client.child, "exit");
    assert.equal(client.child.exitCode, 0);
    await empty();
  });

  const ends: Record<string, (child: ChildProcess) => void> = {
    "the end of its stdin": (child) => child.stdin!.end(),
    "kill -9 of it": (child) => child.kill("SIGKILL"),
    "SIGTERM to it": (child) => child.kill("SIGTERM"),
  };
  for (const [name, end] of Object.entries(ends)) {
    it(`ends its session and the servers with ${name}, also with a call in flight`, async () => {
      using client = await new Client(home).begin();
      assert.equal((await counts())[0], 1);
      client.child.stdin!.write('{"jsonrpc":"2.0","id":99,"method":"tools/call","params":{"name":"light__echo"}}\n');
      end(client.child);
      await empty();
    });
  }

  it("carries large messages both ways whole, in either of its two forms", async () => {
    for (const words of [[], ["--no-pump"]]) {
      using client = await new Client(home, words).begin();
      const big = "x".repeat(300_000);
      const answer = await client.ask("tools/call", { name: big });
      assert.match(answer.error?.message ?? "", /unknown name "x{300000}"/);
      client.child.stdin!.end();
      await once(client.child, "exit");
    }
    await empty();
  });

  it("ends with an error that says why when there is no gateway, no such server, or no such parent", async () => {
    const run = async (words: string[], environment: Record<string, string> = {}) => {
      const args = [mainFile, "mcp", "--state", home.stateDir, ...words];
      const child = spawn(process.execPath, args, {
        stdio: ["pipe", "ignore", "pipe"],
        env: { PATH: process.env["PATH"] ?? "", HOME: home.directory, ...environment },
      });
      const said = child.stderr.toArray();
      await once(child, "close");
      child.stdin.destroy();
      return { code: child.exitCode, said: (await said).join("") };
    };
    const nowhere = await run(["--state", join(home.directory, "nothing")]);
    assert.deepEqual([nowhere.code, /no gateway runs/.test(nowhere.said)], [1, true], nowhere.said);
    const unknown = await run(["--server", "nosuch"]);
    assert.deepEqual([unknown.code, /"nosuch" is not in the config/.test(unknown.said)], [1, true], unknown.said);
    const wrong = await run([], { HOLDFAST_TOKEN: "wrong" });
    assert.deepEqual([wrong.code, /token/.test(wrong.said)], [1, true], wrong.said);
  });

  it("is a child session with --parent: it ends when its parent does", async () => {
    using parent = await new Client(home).begin();
    const [{ id }] = (await gateway.rpc("session.list")) as [{ id: string }];
    using child = await new Client(home, ["--parent", id]).begin();
    assert.equal((await counts())[0], 2);
    const ended = once(child.child, "exit");
    parent.child.kill("SIGKILL");
    await ended;
    assert.equal(child.child.exitCode, 1);
    await empty();
  });

  it("serves a client that keeps no session, in front of servers of both eras, and all of it ends with kill -9", async () => {
    const args = [mainFile, "mcp", "--state", home.stateDir];
    const transport = new StdioClientTransport({ command: process.execPath, args });
    const peer = await connect("stateless client (SDK 2)", { transport, content: { sure: true } });
    const tools = await peer.tools();
    for (const name of ["light__echo", "s__echo", "actor__act"]) assert.ok(tools.includes(name), name);
    assert.equal(await peer.call("light__echo"), "Echo");
    // What a server of either era asks its client is asked.
    assert.equal(await peer.call("s__deploy", { env: "prod" }), 'deployed to prod: {"sure":true} as it was');
    assert.match(await peer.call("actor__act", { ask: "roots/list" }), /somewhere/);
    const gone = new AbortController();
    await assert.rejects(peer.call("s__wait", {}, gone.signal, () => gone.abort()));
    await until("the server knows", async () => (await peer.call("s__cancelled")) === "1", { boundMs });
    await peer.listen("note://one");
    await peer.call("s__touch", { uri: "note://one" });
    await peer.call("s__grow");
    const heard = async () => peer.heard.includes("note://one") && peer.heard.includes("toolsChanged");
    await until("it hears of what changed", heard, { boundMs });
    assert.deepEqual(await counts(), [1, 3]);
    process.kill(transport.pid!, "SIGKILL");
    await empty();
    await peer.close();
  });

  it("takes the era of a connection from its first request, and tells a client that names none", async () => {
    using client = new Client(home, ["--server", "light"]);
    assert.match((await client.ask("tools/list")).error?.message ?? "", /begins with an initialize/);
    assert.equal((await client.ask("server/discover")).error?.code, -32_602);
    const { error } = await client.ask("server/discover", meta("1999-01-01"));
    assert.deepEqual([error?.code, error?.data?.supported?.[0]], [-32_022, "2026-07-28"]);
    const { result } = await client.ask("server/discover", meta());
    assert.deepEqual([result?.["resultType"], result?.["supportedVersions"]], ["complete", error?.data?.supported]);
    // Who only asked may still begin a session: what stood for it meanwhile is gone.
    assert.equal((await client.ask("initialize", { protocolVersion: "2025-11-25" })).error, undefined);
    assert.match(JSON.stringify(await client.ask("tools/call", { name: "echo" })), /Echo/);
    await until("there is the session alone", async () => String(await counts()) === "1,1", { boundMs });

    using other = new Client(home);
    const steps = { name: "s__steps", _meta: { ...meta()._meta, progressToken: "a" } };
    assert.match(JSON.stringify(await other.ask("tools/call", steps)), /"done"/);
    assert.deepEqual(other.heard, ["notifications/progress", "notifications/progress"]);
    assert.match((await other.ask("initialize")).error?.message ?? "", /2026-07-28, which has no initialize/);
    assert.equal((await other.ask("ping", meta())).error?.code, -32_601);
    assert.equal((await other.ask("tools/call", { name: "light__echo" })).error?.code, -32_602);
    const sessions = (await gateway.rpc("session.list")) as { id: string; server: string | null }[];
    assert.equal(sessions.length, 2);
    using ended = new Client(home, ["--parent", sessions.find(({ server }) => server === null)!.id]);
    assert.equal((await ended.ask("server/discover", meta())).error, undefined);
    const exit = once(ended.child, "exit");
    const [own] = ((await gateway.rpc("session.list")) as { id: string; parentId: string | null }[]).filter(
      ({ parentId }) => parentId !== null,
    );
    await gateway.rpc("session.end", { id: own!.id });
    assert.deepEqual(await exit, [1, null]);
    const call = JSON.stringify({
      jsonrpc: "2.0",
      id: 99,
      method: "tools/call",
      params: { name: "s__wait", ...meta() },
    });
    for (const { child } of [client, other]) {
      child.stdin!.write(`${call}\n`);
      child.kill("SIGTERM");
    }
    await empty();
  });

  it("status and probe: what there is, and a look at one server of which nothing is left", async () => {
    const status = await runCommand(home, ["mcp", "status"]);
    assert.deepEqual([status.code, status.stdout], [0, "light  stdio\ns  stdio\nactor  stdio\n"]);
    const probe = await runCommand(home, ["mcp", "probe", "light"]);
    assert.match(
      probe.stdout,
      /^light 1\.0\.0, revision 2025-06-18: 1 tool, 0 prompts, 0 resources in \d+ ms\necho\n$/,
    );
    await empty();
    const unknown = await runCommand(home, ["mcp", "probe", "nosuch"]);
    assert.deepEqual([unknown.code, /"nosuch" is not in the config/.test(unknown.stderr)], [1, true], unknown.stderr);
  });

  it("ends when the gateway does", async () => {
    using client = await new Client(home).begin();
    using other = new Client(home);
    assert.match(JSON.stringify(await other.ask("tools/call", { name: "light__echo", ...meta() })), /Echo/);
    const listening = { notifications: { toolsListChanged: true }, ...meta() };
    const over = other.ask("subscriptions/listen", listening);
    const ended = Promise.all([client, other].map(({ child }) => once(child, "exit")));
    await until("it listens", async () => other.heard.includes("notifications/subscriptions/acknowledged"), {
      boundMs,
    });
    await gateway.stop();
    assert.equal((await over).result?.["resultType"], "complete");
    assert.deepEqual(await ended, [
      [1, null],
      [1, null],
    ]);
    gateway = await Gateway.start(home);
  });
});
