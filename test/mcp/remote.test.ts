/** Remote servers: streamable HTTP and the older sse, with their headers, their sessions and their failures. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { everythingFile } from "../helpers/servers.ts";
import { patiently, until } from "../helpers/until.ts";
import type { FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { actor, callEvents, callText, join, namesOf, startFront, textOf } from "./helpers/assembled.ts";

leavesNothing();
const boundMs = 10_000;

interface Heard {
  method: string;
  headers: http.IncomingHttpHeaders;
  message: { id?: number; method?: string; result?: unknown; params?: { requestId?: unknown; name?: string } };
}

/** A remote server over streamable HTTP that remembers every request. Its tool `ask` asks the client, `hang` never answers. */
class Remote implements AsyncDisposable {
  readonly heard: Heard[] = [];
  status = 200;
  #sessions = 0;
  #ask: { response: http.ServerResponse; id: number | undefined } | undefined;
  readonly #server = http.createServer((request, response) => void this.#take(request, response));

  static async start(): Promise<Remote> {
    const remote = new Remote();
    remote.#server.listen(0, "127.0.0.1");
    await once(remote.#server, "listening");
    return remote;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`;
  }

  forgetSessions(): void {
    this.#sessions += 100;
  }

  async #take(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await text(request);
    const { method = "", headers } = request;
    const message = (body === "" ? {} : JSON.parse(body)) as Heard["message"];
    this.heard.push({ method, headers, message });
    if (this.status !== 200) return void response.writeHead(this.status).end('{"error":{"message":"not you"}}');
    if (method !== "POST") return void response.writeHead(method === "DELETE" ? 204 : 405).end();
    const isFirst = message.method === "initialize";
    if (!isFirst && headers["mcp-session-id"] !== `s${this.#sessions}`) return void response.writeHead(404).end();
    if (isFirst) this.#sessions++;
    const say = (result: object) => {
      response.setHeader("mcp-session-id", `s${this.#sessions}`);
      response
        .setHeader("content-type", "application/json")
        .end(JSON.stringify({ jsonrpc: "2.0", id: message.id, result }));
    };
    if (isFirst)
      return say({
        protocolVersion: "2025-06-18",
        capabilities: { tools: {} },
        serverInfo: { name: "far", version: "1" },
      });
    // What a later revision wants said in headers is none of a session's business.
    const properties = { region: { type: "string", "x-mcp-header": "Region" } };
    const inputSchema = { type: "object", properties };
    if (message.method === "tools/list") return say({ tools: [{ name: "ask", inputSchema }] });
    if (message.method === "tools/call") return this.#call(message, response, say);
    if (message.id === 77) this.#answered(message.result);
    response.writeHead(202).end();
  }

  #call({ id, params }: Heard["message"], response: http.ServerResponse, say: (result: object) => void): void {
    if (params?.name === "plain") return say({ content: [{ type: "text", text: "far" }] });
    if (params?.name === "hang") return;
    response.setHeader("content-type", "text/event-stream");
    response.write(
      'event: message\r\ndata: {"jsonrpc":"2.0",\r\ndata: "id":77,"method":"sampling/createMessage","params":{}}\r\n\r\n',
    );
    this.#ask = { response, id };
  }

  #answered(result: unknown): void {
    const answer = {
      jsonrpc: "2.0",
      id: this.#ask?.id,
      result: { content: [{ type: "text", text: JSON.stringify(result) }] },
    };
    this.#ask?.response.end(`data: ${JSON.stringify(answer)}\n\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

const frontTo = (url: string, kind: "http" | "sse" = "http"): Promise<FakeKeeper> =>
  startFront(
    { far: { command: "false", args: [] }, near: actor("near", "do") },
    { far: { kind, url, headers: { authorization: "Bearer far-away", "x-own": "1" }, connectionTimeoutMs: 5000 } },
  );

describe("a remote server", { timeout: patiently(60_000) }, () => {
  it("is one of the servers: listed, called, asked for its session, and told that it is over", async () => {
    await using remote = await Remote.start();
    await using keeper = await frontTo(remote.url);
    const talk = await join(keeper, "/mcp", { sampling: {} });
    assert.deepEqual(await namesOf(talk), ["far__ask", "near__do"]);
    assert.equal(await callText(talk, "far__plain"), "far");
    const { headers } = remote.heard.find(({ message }) => message.params?.name === "plain")!;
    assert.deepEqual(
      [headers.authorization, headers["x-own"], headers["mcp-session-id"], headers["mcp-protocol-version"]],
      ["Bearer far-away", "1", "s1", "2025-06-18"],
    );
    using events = await callEvents(talk, "far__ask", { region: "us" });
    const question = await events.next();
    assert.equal(question?.method, "sampling/createMessage");
    await talk.post({ jsonrpc: "2.0", id: question?.id, result: { said: 1 } });
    assert.equal(textOf([(await events.next())!]), '{"said":1}');
    const names = remote.heard.flatMap(({ headers: said }) => Object.keys(said));
    assert.deepEqual(
      names.filter((name) => name.startsWith("mcp-param-")),
      [],
    );
    await talk.delete();
    await until("DELETE", () => remote.heard.some(({ method }) => method === "DELETE"), { boundMs });
  });

  it("hears that a call was cancelled, and a call to a session that it forgot is answered, the next one served", async () => {
    await using remote = await Remote.start();
    await using keeper = await frontTo(remote.url);
    const talk = await join(keeper, "/mcp/far");
    const lost = talk.request("tools/call", { name: "hang" }, "lost");
    await until("the call", () => remote.heard.some(({ message }) => message.params?.name === "hang"), { boundMs });
    await talk.notify("notifications/cancelled", { requestId: "lost" });
    assert.deepEqual((await lost).messages, []);
    const asked = remote.heard.find(({ message }) => message.params?.name === "hang")?.message.id;
    await until("it", () => remote.heard.some(({ message }) => message.params?.requestId === asked), { boundMs });
    assert.equal(await callText(talk, "plain"), "far");
    remote.forgetSessions();
    assert.match(await callText(talk, "plain"), /has ended our session/);
    assert.equal(await callText(talk, "plain"), "far");
    await talk.delete();
  });

  it("that refuses us or is not there is an error that says so, and the other servers go on", async () => {
    await using remote = await Remote.start();
    remote.status = 401;
    await using keeper = await frontTo(remote.url);
    const talk = await join(keeper);
    assert.deepEqual(await namesOf(talk), ["near__do"]);
    assert.match(await callText(talk, "far__plain"), /"far".*HTTP 401: not you/);
    await using nobody = await frontTo("http://127.0.0.1:9/mcp");
    assert.match(await callText(await join(nobody), "far__plain"), /"far".*ECONNREFUSED/);
  });

  it("of the older kind (sse) is spoken to at the address that it names", async () => {
    const probe = await Remote.start();
    const { port } = new URL(probe.url);
    await probe[Symbol.asyncDispose]();
    const child = spawn(process.execPath, [everythingFile(), "sse"], {
      env: { PATH: process.env["PATH"] ?? "", PORT: port },
      stdio: ["ignore", "ignore", "pipe"],
    });
    try {
      child.stderr.resume();
      const reach = async () =>
        (await exchange(`http://127.0.0.1:${port}/nothing`).catch(() => undefined)) !== undefined;
      await until("it listens", reach, { boundMs, everyMs: 50 });
      await using keeper = await frontTo(`http://127.0.0.1:${port}/sse`, "sse");
      const talk = await join(keeper, "/mcp/far");
      assert.equal(await callText(talk, "echo", { message: "far" }), "Echo: far");
      await talk.delete();
    } finally {
      const ended = once(child, "close");
      child.kill("SIGKILL");
      await ended;
    }
  });
});
