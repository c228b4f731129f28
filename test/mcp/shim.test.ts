/** `holdfast mcp`: a stdio client's whole session hangs on one tiny process, and ends with it in whatever way. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { Client as SdkClient } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { root, tiersToTest } from "../helpers/tiers.ts";
import { until } from "../helpers/until.ts";

leavesNothing();
const boundMs = 15_000;
const [tier = "subreaper"] = tiersToTest();
const light = { command: "sh", args: [fixture("light-server.sh")] };

interface Line {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** A stdio client with the shim as its server. */
class Client implements Disposable {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #id = 0;

  constructor(home: Home, words: string[] = []) {
    const args = [join(root, "dist/main.js"), "mcp", "--state", home.stateDir, ...words];
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

describe("holdfast mcp", { timeout: 60_000 }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    home = new Home(tier, { mcpServers: { light }, stop: { stdinGraceMs: 500, termGraceMs: 500 } });
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
      assert.deepEqual(await counts(), [1, 1]);
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
      const args = [join(root, "dist/main.js"), "mcp", "--state", home.stateDir, ...words];
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
    assert.deepEqual(await counts(), [2, 2]);
    const ended = once(child.child, "exit");
    parent.child.kill("SIGKILL");
    await ended;
    assert.equal(child.child.exitCode, 1);
    await empty();
  });

  it("leads a client that would rather keep no session, but can, to one", async () => {
    const client = new SdkClient({ name: "both", version: "1" }, { versionNegotiation: { mode: "auto" } });
    const args = [join(root, "dist/main.js"), "mcp", "--state", home.stateDir];
    await client.connect(new StdioClientTransport({ command: process.execPath, args }));
    const { tools } = await client.listTools();
    assert.deepEqual([client.getNegotiatedProtocolVersion(), tools[0]?.name], ["2025-11-25", "light__echo"]);
    assert.equal((await counts())[0], 1);
    await client.close();
    await empty();
  });

  it("status and probe: what there is, and a look at one server of which nothing is left", async () => {
    const status = await runCommand(home, ["mcp", "status"]);
    assert.deepEqual([status.code, status.stdout], [0, "light  stdio\n"]);
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
    const ended = once(client.child, "exit");
    await gateway.stop();
    await ended;
    assert.equal(client.child.exitCode, 1);
    gateway = await Gateway.start(home);
  });
});
