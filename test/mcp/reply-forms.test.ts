/** A client gets its answer in a form that it takes, as JSON or as a stream of events; 406 is for those that take neither. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { replyForm } from "../../src/mcp/wire/headers.ts";
import type { FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { exchange, open } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { heardOf, join, otherToken, startActors } from "./helpers/assembled.ts";
import { Talk } from "./helpers/talk.ts";

leavesNothing();

const forms: [accept: string | undefined, form: ReturnType<typeof replyForm>][] = [
  [undefined, "either"],
  ["", "either"],
  ["*/*", "either"],
  ["application/json, text/event-stream", "either"],
  ["text/event-stream;q=0.5 , application/json;q=0.9", "either"],
  ["application/json", "json"],
  ["APPLICATION/JSON; charset=utf-8", "json"],
  ["application/*", "json"],
  ["*/*, text/event-stream;q=0", "json"],
  ["text/*;q=0, */*;q=0.1", "json"],
  ["text/event-stream", "events"],
  ["text/*", "events"],
  ["application/json;q=0.000, */*", "events"],
  ["application/*;q=0, text/event-stream", "events"],
  ["text/html", undefined],
  ["application/json;q=0", undefined],
  ["*/*;q=0", undefined],
];

it("an Accept header is read with its ranges, the most exact first, and its q-values", () => {
  for (const [accept, form] of forms) assert.equal(replyForm(accept), form, String(accept));
});

describe("a client that says what it accepts", { timeout: patiently(200_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await startActors();
  });
  after(() => keeper[Symbol.asyncDispose]());

  const headersOf = (talk: Talk, accept: string | undefined) => {
    const { accept: _, ...rest } = talk.headers();
    return accept === undefined ? rest : { ...rest, accept };
  };
  const meta = {
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  };
  const initialize = {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "talk", version: "1" },
  };

  for (const path of ["/mcp", "/mcp/a", "/mcp/p"])
    for (const [accept, form] of forms)
      it(`${String(accept)} gets ${form ?? "406"} at ${path}, with a session and without`, async () => {
        const talk = new Talk(keeper.url + path);
        const post = async (message: object, more: object = {}) => {
          const body = JSON.stringify({ jsonrpc: "2.0", ...message });
          return exchange(talk.url, { method: "POST", headers: { ...headersOf(talk, accept), ...more }, body });
        };
        const isRight = ({ status, headers, text }: Awaited<ReturnType<typeof post>>) => {
          assert.equal(status, form === undefined ? 406 : 200, text);
          const type = form === "events" ? "text/event-stream" : "application/json";
          assert.equal(headers["content-type"], type);
        };
        const revision = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" };
        isRight(await post({ id: 1, method: "tools/list", params: meta }, revision));
        const first = await post({ id: 1, method: "initialize", params: initialize });
        isRight(first);
        if (form === undefined) await talk.initialize();
        else talk.session = first.headers["mcp-session-id"] as string;
        isRight(await post({ id: 2, method: "tools/list" }));
        isRight(await post({ id: 3, method: "no/such" }));
        assert.equal(
          (await post({ method: "notifications/initialized" })).status,
          202,
          "which has no body to be refused",
        );
        const stream = await open(talk.url, { headers: headersOf(talk, accept) });
        stream.destroy();
        assert.equal(stream.statusCode, form === "events" || form === "either" ? 200 : 406);
        assert.equal((await talk.delete()).status, 204);
      });

  it("JSON alone gets JSON also when its server reports progress and asks, which goes to the client's stream", async () => {
    for (const path of ["/mcp", "/mcp/a", "/mcp/p"]) {
      const talk = await join(keeper, path, { sampling: {} });
      using stream = await talk.listen();
      const name = path === "/mcp" ? "a__do" : "do";
      const say = { jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "told" } };
      const params = { name, arguments: { say, ask: "sampling/createMessage" }, _meta: { progressToken: "t" } };
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
      const given = { method: "POST", headers: headersOf(talk, "application/json"), body, boundMs: 10_000 };
      const called = exchange(talk.url, given);
      await heardOf(stream, "notifications/message");
      const question = await stream.next();
      assert.equal(question?.method, "sampling/createMessage");
      await talk.post({ jsonrpc: "2.0", id: question.id, result: { said: "yes" } });
      const { status, headers, text } = await called;
      assert.deepEqual([status, headers["content-type"]], [200, "application/json"]);
      assert.match(text, /said/);
    }
  });

  it("JSON alone gets an end without a body for a call that it cancels", async () => {
    const talk = await join(keeper);
    const params = { name: "a__do", arguments: { wait: "never" } };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 77, method: "tools/call", params });
    const called = exchange(talk.url, { method: "POST", headers: headersOf(talk, "application/json"), body });
    const cancelled = () => talk.notify("notifications/cancelled", { requestId: 77 });
    for (let ended = false; !ended;) {
      await cancelled();
      ended = await Promise.race([called.then(() => true), new Promise<false>((done) => setImmediate(done, false))]);
    }
    assert.deepEqual([(await called).status, (await called).text], [202, ""]);
  });
});

describe("a second stream of a session", { timeout: patiently(200_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await startActors();
  });
  after(() => keeper[Symbol.asyncDispose]());

  const say = (data: string) => ({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data } });
  /** A call on which nothing can ride, so that what its server says goes to the stream. */
  const call = (talk: Talk, given: object) => {
    const name = talk.url.endsWith("/mcp") ? "a__do" : "do";
    const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: given } };
    return talk.post(message, { accept: "application/json" });
  };

  for (const path of ["/mcp", "/mcp/a", "/mcp/p"]) {
    it(`takes over from the first, which ends, at ${path}`, async () => {
      const talk = await join(keeper, path);
      using first = await talk.listen();
      using second = await talk.listen();
      assert.equal(second.response.statusCode, 200);
      assert.equal(await first.next(), undefined, "it has ended");
      const called = call(talk, { say: say("told") });
      await heardOf(second, "notifications/message");
      assert.equal((await called).status, 200);
    });

    it(`takes over also from one whose client does not read any more, at ${path}`, async () => {
      const talk = await join(keeper, path);
      using first = await talk.listen();
      first.response.on("error", () => {}); // it is reset, since nobody takes what waits in it
      first.response.socket.pause();
      const calls = Array.from({ length: 12 }, () => call(talk, { say: say("x".repeat(1_000_000)) }));
      await Promise.race(calls);
      using second = await talk.listen();
      assert.equal(second.response.statusCode, 200);
      // A server of its own is held up by its reader, and may have taken no more.
      for (const { status } of await Promise.all(calls)) assert.ok(status === 200 || status === 503);
      const called = call(talk, { say: say("told") });
      await heardOf(second, "notifications/message");
      assert.equal((await called).status, 200);
    });
  }

  it("of another token is refused: an admin who looks on takes nothing from the client", async () => {
    const talk = await join(keeper, "/mcp", {});
    const admin = new Talk(talk.url, otherToken);
    admin.session = talk.session;
    using first = await talk.listen();
    using second = await admin.listen();
    assert.deepEqual([first.response.statusCode, second.response.statusCode], [200, 409]);
  });
});
