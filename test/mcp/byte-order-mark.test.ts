/** A byte order mark at the beginning of anything that is read: skipped, as most readers do. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { ContainedStdioTransport } from "../../src/library/stdio-transport.ts";
import { token } from "../gateway/helpers/fake-keeper.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { actor, callText, join as begin, startFront } from "./helpers/assembled.ts";
import { behaved, RawRemote } from "./helpers/raw-remote.ts";
import { Talk } from "./helpers/talk.ts";

leavesNothing();

const mark = "\uFEFF";
/** Says the mark once, before everything that the actor says. */
const marked = (name: string) => {
  const { command, args } = actor(name, "do");
  return { command: "sh", args: ["-c", `printf '\\357\\273\\277'; exec "$@"`, "sh", command, ...args] };
};

describe("a byte order mark", { timeout: patiently(60_000) }, () => {
  it("before a server's first line costs nothing, on a server of its own, an idle-limited and a pooled one", async () => {
    const servers = { joined: marked("j"), idle: marked("i"), pooled: marked("p") };
    await using keeper = await startFront(servers, { idle: { idleTimeoutMs: 600_000 }, pooled: { share: "pool" } });
    for (const path of ["joined", "idle", "pooled"]) {
      const talk = await begin(keeper, `/mcp/${path}`);
      assert.match(await callText(talk, "do"), /^[jip]:\d+$/);
      await talk.delete();
    }
  });

  it("in a remote server's body or stream of events costs nothing", async () => {
    await using remote = await RawRemote.start((request) =>
      behaved(
        {
          ...request,
          reply: (status, type, body, more) => request.reply(status, type, status === 200 ? mark + body : body, more),
        },
        ({ verb, message, reply, socket }) => {
          if (verb === "GET") return reply(405, "text/plain", "");
          const answer = JSON.stringify({
            jsonrpc: "2.0",
            id: message.id,
            result: { content: [{ type: "text", text: "event" }] },
          });
          const stream = Buffer.from(`${mark}data: ${answer}\r\r`);
          socket.write(
            `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ${stream.length}\r\n\r\n`,
          );
          socket.write(stream);
        },
      ),
    );
    await using keeper = await startFront(
      { far: actor("far") },
      { far: { kind: "http", url: remote.url, headers: {} } },
    );
    const talk = await begin(keeper, "/mcp/far");
    assert.equal(await callText(talk, "plain"), "plain");
    assert.equal(await callText(talk, "other"), "event");
    await talk.delete();
  });

  it("before a client's message costs nothing: in a POST, and on the first line into `holdfast mcp`", async () => {
    await using keeper = await startFront({ near: actor("near", "do") });
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
    const message = mark + JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
    for (const path of ["/mcp", "/mcp/near"]) {
      const talk = new Talk(keeper.url + path);
      const answer = await talk.post(message);
      assert.equal(answer.status, 200, answer.text);
      talk.session = answer.headers["mcp-session-id"] as string;
      await talk.delete();
    }
    const { host, hostname, port } = new URL(keeper.url);
    const socket = connect({ host: hostname, port: Number(port) });
    const head = [
      "GET /mcp HTTP/1.1",
      `Host: ${host}`,
      `Authorization: Bearer ${token}`,
      "Connection: Upgrade",
      "Upgrade: holdfast-stdio",
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    const [switched] = (await once(socket, "data")) as [Buffer];
    assert.match(switched.toString(), /^HTTP\/1\.1 101/);
    socket.write(`${message}\n`);
    const [said] = (await once(socket, "data")) as [Buffer];
    assert.equal((JSON.parse(said.toString()) as { id: number; result?: object }).result !== undefined, true);
    socket.destroy();
    await once(socket, "close");
  });

  it("before what a server says to the library's transport costs nothing", async () => {
    const { command, args } = marked("t");
    await using transport = new ContainedStdioTransport({ command, args, stderr: "ignore" });
    const { promise: heard, resolve } = Promise.withResolvers<unknown>();
    Object.assign(transport, { onmessage: resolve });
    await transport.start();
    await transport.send({ jsonrpc: "2.0", id: 7, method: "ping" });
    assert.deepEqual(await heard, { jsonrpc: "2.0", id: 7, result: {} });
  });
});
