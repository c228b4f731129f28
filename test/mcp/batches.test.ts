/** Batches are part of revision 2025-03-26 and of no other: a session of it may send them, wherever it is. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { EnvelopeError } from "../../src/mcp/wire/envelope.ts";
import { readBatch } from "../../src/mcp/wire/batch.ts";
import { token, type FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { startActors } from "./helpers/assembled.ts";
import { Talk, type Message } from "./helpers/talk.ts";

leavesNothing();

const revision = "2025-03-26";

describe("a batch", { timeout: patiently(120_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await startActors();
  });
  after(() => keeper[Symbol.asyncDispose]());

  const begin = async (path: string, version = revision) => {
    const talk = new Talk(keeper.url + path);
    assert.equal((await talk.initialize(version)).status, 200);
    return talk;
  };
  const called = (path: string, id: unknown, given: object = {}) => {
    const name = path === "/mcp" ? "a__do" : "do";
    return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: given } };
  };
  const ids = (messages: Message[]) => messages.map(({ id }) => String(id)).toSorted();
  const notification = { jsonrpc: "2.0", method: "notifications/initialized" };

  for (const path of ["/mcp", "/mcp/a", "/mcp/p"]) {
    it(`is answered by one array, at ${path}`, async () => {
      const talk = await begin(path);
      const ping = { jsonrpc: "2.0", id: "p", method: "ping" };
      const { status, headers, text } = await talk.post([notification, called(path, 1), called(path, "two"), ping]);
      assert.deepEqual([status, headers["content-type"]], [200, "application/json"], text);
      const answers = JSON.parse(text) as Message[];
      assert.deepEqual(ids(answers), ["1", "p", "two"]);
      assert.match(JSON.stringify(answers.find(({ id }) => id === "two")), /[ap]:\d+/);
    });

    it(`of one request is an array of one, and of notifications alone 202 without a body, at ${path}`, async () => {
      const talk = await begin(path);
      const one = await talk.post([{ jsonrpc: "2.0", id: 7, method: "tools/list" }]);
      assert.deepEqual(ids(JSON.parse(one.text) as Message[]), ["7"]);
      const none = await talk.post(` [ ${JSON.stringify(notification)} ] `);
      assert.deepEqual([none.status, none.text], [202, ""]);
    });

    it(`becomes a stream when its server says something on the way, at ${path}`, async () => {
      const talk = await begin(path);
      const say = { jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "told" } };
      const { headers, messages } = await talk.post([called(path, 1, { say })]);
      assert.equal(headers["content-type"], "text/event-stream");
      assert.deepEqual(
        messages.map(({ method, id }) => method ?? id),
        ["notifications/message", 1],
      );
      const json = await talk.post([called(path, 2, { say })], { accept: "application/json" });
      assert.deepEqual(ids(JSON.parse(json.text) as Message[]), ["2"]);
    });

    it(`with a cancelled call is answered without it, at ${path}`, async () => {
      const talk = await begin(path);
      const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } };
      const { text } = await talk.post([called(path, 1, { wait: "never" }), called(path, 2), cancel]);
      const [answer] = JSON.parse(text.replace(/^data: /, "")) as Message[];
      assert.equal(answer?.id, 2);
    });

    it(`is refused whole when it is no batch of messages, or of another revision, at ${path}`, async () => {
      const talk = await begin(path);
      const first = { jsonrpc: "2.0", id: 1, method: "initialize", params: {} };
      const wrong: [body: unknown, code: number][] = [
        [[], -32600],
        [[1], -32600],
        [[called(path, 1), { jsonrpc: "2.0" }], -32600],
        [[first], -32600],
        [Array.from({ length: 51 }, (_, id) => called(path, id)), -32600],
        ["[{]", -32700],
        ['[{"jsonrpc":"2.0","id":1,"method":"ping"}', -32700],
      ];
      for (const [body, code] of wrong) {
        const { status, messages } = await talk.post(body);
        assert.deepEqual([status, messages[0]?.error?.code], [400, code], JSON.stringify(body).slice(0, 80));
      }
      const fifty = await talk.post(Array.from({ length: 50 }, (_, id) => ({ jsonrpc: "2.0", id, method: "ping" })));
      assert.equal((JSON.parse(fifty.text) as Message[]).length, 50);
      const newer = await begin(path, "2025-06-18");
      assert.equal((await newer.post([called(path, 1)])).status, 400);
    });
  }

  it("is answered by one line over stdio", async () => {
    const { hostname, port, host } = new URL(keeper.url);
    const socket = connect(Number(port), hostname);
    const head = `GET /mcp HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\n`;
    socket.write(`${head}Upgrade: holdfast-stdio\r\n\r\n`);
    const params = { protocolVersion: revision, capabilities: {}, clientInfo: { name: "t", version: "1" } };
    socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params })}\n`);
    socket.write(`${JSON.stringify([notification, called("/mcp", 1), called("/mcp", 2)])}\n\x04`);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    const lines = text
      .slice(text.indexOf("\r\n\r\n") + 4)
      .trim()
      .split("\n");
    const batch = lines.map((line) => JSON.parse(line) as Message | Message[]).find((line) => Array.isArray(line));
    assert.deepEqual(ids(batch as Message[]), ["1", "2"]);
  });
});

it("a batch is taken apart in one pass, wherever its white space is", () => {
  const text = ' [\n{"jsonrpc":"2.0","id":1,"method":"ping"} ,\t{"jsonrpc":"2.0","method":"x","params":[1,[2]]}\r]';
  const messages = readBatch(Buffer.from(text));
  assert.deepEqual(
    messages.map(({ envelope: { kind, method } }) => [kind, method]),
    [
      ["request", "ping"],
      ["notification", "x"],
    ],
  );
  assert.throws(() => readBatch(Buffer.from("[,]")), EnvelopeError);
  assert.throws(() => readBatch(Buffer.from("[1 2]")), EnvelopeError);
});
