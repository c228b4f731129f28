/** Real clients, real server, real gateway: everything that MCP can do in either direction works through /mcp/everything. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { everythingFile } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

const info = { name: "holdfast-test", version: "1" };

leavesNothing();

describe("through /mcp/everything", { timeout: patiently(120_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    home = new Home(bestTier(), {
      mcpServers: { everything: { command: process.execPath, args: [everythingFile(), "stdio"] } },
    });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  const url = () => new URL(`${gateway.url}/mcp/everything`);
  const requestInit = () => ({ headers: { authorization: `Bearer ${gateway.token}` } });
  const sessions = async () => (await gateway.rpc("session.list")) as { id: string; client: { name: string } }[];

  const noRun = async () => ((await gateway.rpc("run.list")) as unknown[]).length === 0;

  /** A first-generation client with every capability there is. */
  async function connect(): Promise<{ client: Client; transport: StreamableHTTPClientTransport; logged: unknown[] }> {
    const client = new Client(info, { capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } } });
    const logged: unknown[] = [];
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
      model: "test",
      role: "assistant",
      content: { type: "text", text: `sampled: ${JSON.stringify(params.messages[0]?.content).length > 0}` },
    }));
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: { name: "Ada" } }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({
      roots: [{ uri: "file:///somewhere", name: "somewhere" }],
    }));
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logged.push(params.data));
    const transport = new StreamableHTTPClientTransport(url(), { requestInit: requestInit() });
    await client.connect(transport);
    return { client, transport, logged };
  }

  /** DELETE, then the sockets: what a client that behaves does at its end. */
  async function leave({
    client,
    transport,
  }: {
    client: Client;
    transport: StreamableHTTPClientTransport;
  }): Promise<void> {
    await transport.terminateSession();
    await client.close();
  }

  const textOf = (result: unknown) => JSON.stringify((result as { content: unknown }).content);

  // Beside each other: none of them counts what is there.
  describe("one client of each kind", { concurrency: 3 }, () => {
    it("an SDK client of the first generation lists, calls, reads, and hears progress", async () => {
      const connected = await connect();
      const { client } = connected;
      assert.ok((await client.listTools()).tools.length > 8);
      assert.match(
        textOf(await client.callTool({ name: "echo", arguments: { message: "hölds 漢 😀" } })),
        /hölds 漢 😀/,
      );
      assert.ok((await client.listResources()).resources.length > 0);
      assert.ok((await client.listPrompts()).prompts.length > 0);
      const heard: number[] = [];
      const long = { name: "trigger-long-running-operation", arguments: { duration: 0.4, steps: 4 } };
      await client.callTool(long, undefined, { onprogress: ({ progress }) => void heard.push(progress) });
      assert.deepEqual(heard, [1, 2, 3, 4]);
      await leave(connected);
    });

    it("the server can ask its client: sampling, elicitation, roots", async () => {
      const connected = await connect();
      const { client } = connected;
      // The server learns of these a moment after `initialized`, and then changes its list of tools.
      const tools = await until(
        "tools for what the client can",
        async () => {
          const names = (await client.listTools()).tools.map(({ name }) => name);
          return names.includes("trigger-sampling-request") && names.includes("trigger-elicitation-request")
            ? names
            : undefined;
        },
        { boundMs: 5000 },
      );
      assert.ok(tools.includes("get-roots-list"));
      assert.match(
        textOf(await client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "hi", maxTokens: 5 } })),
        /sampled: true/,
      );
      assert.match(textOf(await client.callTool({ name: "trigger-elicitation-request", arguments: {} })), /Ada/);
      const roots = async () =>
        textOf(await client.callTool({ name: "get-roots-list", arguments: {} })).includes("file:///somewhere");
      assert.equal(await until("roots, which the server asks for by itself", roots, { boundMs: 5000 }), true);
      await leave(connected);
    });

    it("notifications that belong to no call arrive on the client's stream", async () => {
      const connected = await connect();
      await connected.client.callTool({ name: "toggle-simulated-logging", arguments: {} });
      await until("a log line", () => connected.logged.length > 0, { boundMs: 10_000 });
      await leave(connected);
    });

    it("a call that its client cancels ends there and here, and the session goes on", async () => {
      const connected = await connect();
      const { client } = connected;
      const cancel = new AbortController();
      const long = { name: "trigger-long-running-operation", arguments: { duration: 60, steps: 60 } };
      const call = client.callTool(long, undefined, {
        signal: cancel.signal,
        onprogress: () => cancel.abort("enough"),
      });
      await assert.rejects(call, /enough/);
      assert.match(textOf(await client.callTool({ name: "echo", arguments: { message: "still here" } })), /still here/);
      await leave(connected);
    });

    it("a task reports and is read through its session", async () => {
      const connected = await connect();
      const stream = connected.client.experimental.tasks.callToolStream(
        { name: "simulate-research-query", arguments: { topic: "anchors", ambiguous: false } },
        undefined,
        { task: { ttl: 60_000 } },
      );
      const kinds: string[] = [];
      for await (const message of stream) kinds.push(message.type);
      assert.equal(kinds[0], "taskCreated");
      assert.equal(kinds.at(-1), "result", kinds.join(" "));
      await leave(connected);
    });

    it("an SDK client of the second generation connects as it comes, and negotiating", async () => {
      const second = { ...info, name: "second-generation" };
      for (const options of [{}, { versionNegotiation: { mode: "auto" as const } }]) {
        const client = new ClientV2(second, options);
        const transport = new TransportV2(url(), { requestInit: requestInit() });
        await client.connect(transport);
        assert.ok((await client.listTools()).tools.length > 8);
        assert.match(textOf(await client.callTool({ name: "echo", arguments: { message: "second" } })), /second/);
        await transport.terminateSession();
        await client.close();
      }
      // Without sessions by the newest revision: the one that stands for it here waits for its lease, or the operator.
      for (const { id, client } of await sessions())
        if (client.name === second.name) await gateway.rpc("session.end", { id });
    });
  });

  it("twenty clients at once keep their sessions apart", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, connect));
    assert.equal((await sessions()).length, 20);
    const answers = await Promise.all(
      all.map(({ client }, n) => client.callTool({ name: "echo", arguments: { message: `client ${n}` } })),
    );
    for (const [n, answer] of answers.entries()) assert.match(textOf(answer), new RegExp(`client ${n}"`));
    await Promise.all(all.map(leave));
    assert.deepEqual(await sessions(), []);
    // On a busy machine the answer to DELETE is 202: the end is under way.
    await until("no run", noRun, { boundMs: 10_000 });
  });

  it("the MCP Inspector's command line lists the tools and calls one", async () => {
    const manifest = createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector/package.json");
    const program = join(dirname(manifest), "clients/launcher/build/index.js");
    const inspect = async (...words: string[]) => {
      const given = [
        "--cli",
        url().href,
        "--transport",
        "http",
        "--header",
        `Authorization: Bearer ${gateway.token}`,
        ...words,
      ];
      const child = spawn(process.execPath, [program, ...given], {
        env: { PATH: process.env["PATH"] ?? "", HOME: home.directory },
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 30_000,
      });
      const closed = once(child, "close");
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
      await closed;
      assert.equal(child.exitCode, 0, err + out);
      return JSON.parse(out) as { tools?: { name: string }[]; content?: { text: string }[] };
    };
    assert.ok((await inspect("--method", "tools/list")).tools?.some(({ name }) => name === "echo"));
    const answer = await inspect("--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=hold");
    assert.equal(answer.content?.[0]?.text, "Echo: hold");
    // It never says goodbye; the operator can.
    for (const { id } of await sessions()) await gateway.rpc("session.end", { id });
    assert.equal(await noRun(), true);
  });
});
