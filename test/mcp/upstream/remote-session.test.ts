/** What a remote server wants that is older, or otherwise, than the newest revision has it: it is served all the same. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FakeKeeper } from "../../gateway/helpers/fake-keeper.ts";
import { exchange, open } from "../../helpers/http.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";
import { patiently } from "../../helpers/until.ts";
import { callText, join, startFront } from "../helpers/assembled.ts";
import { behaved, RawRemote, type RawRequest } from "../helpers/raw-remote.ts";
import { scripted, Talk } from "../helpers/talk.ts";

leavesNothing();

const frontTo = (url: string): Promise<FakeKeeper> =>
  startFront({ far: { command: "false", args: [] } }, { far: { kind: "http", url, headers: {} } });

describe("the revision that a client was told", { timeout: patiently(60_000) }, () => {
  it("is good in its headers, however old: on remote, pooled, idle-limited and joined servers, and in a scope", async () => {
    const old = { command: process.execPath, args: [scripted, "2024-11-05"] };
    await using remote = await RawRemote.start((request) => {
      const { verb, message, reply } = request;
      if (verb === "GET") return reply(405, "text/plain", "");
      if (message.method !== "initialize") return behaved(request, () => reply(202, "text/plain", ""));
      const result = {
        protocolVersion: "2024-11-05",
        capabilities: { tools: {} },
        serverInfo: { name: "old", version: "1" },
      };
      reply(
        200,
        "application/json",
        JSON.stringify({ jsonrpc: "2.0", id: message.id, result }),
        "mcp-session-id: s1\r\n",
      );
    });
    await using keeper = await startFront(
      { joined: old, pooled: old, idle: old, far: old },
      {
        pooled: { share: "pool" },
        idle: { idleTimeoutMs: 600_000 },
        far: { kind: "http", url: remote.url, headers: {} },
      },
    );
    for (const path of ["joined", "pooled", "idle", "far", "idle?scope=mine"]) {
      const talk = new Talk(`${keeper.url}/mcp/${path}`);
      const told = await talk.initialize("2024-11-05");
      assert.equal(told.messages[0]?.result?.["protocolVersion"], "2024-11-05", path);
      const named = { "mcp-protocol-version": "2024-11-05" };
      const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
      assert.equal((await talk.post(initialized, named)).status, 202, path);
      const heard = await talk.post({ jsonrpc: "2.0", id: 1, method: "heard" }, named);
      assert.equal(heard.status, 200, path + heard.text);
      const stream = await open(talk.url, { headers: talk.headers(named), boundMs: 10_000 });
      assert.equal(stream.statusCode, 200, path);
      stream.destroy();
      // What nobody agreed on is refused as before.
      const unknown = { "mcp-protocol-version": "2099-01-01" };
      if (!path.includes("scope")) assert.equal((await talk.post(initialized, unknown)).status, 400, path);
      await exchange(talk.url, { method: "DELETE", headers: talk.headers(named) });
    }
    const newer = await join(keeper, "/mcp");
    const named = { "mcp-protocol-version": "2024-11-05" };
    assert.equal((await newer.post({ jsonrpc: "2.0", id: 1, method: "ping" }, named)).status, 400);
    await newer.delete();
  });
});

/** Remembers one session at a time, and says in its own way that it knows no other. */
function forgetful(refuse: (request: RawRequest) => void): {
  answer: (request: RawRequest) => void;
  forget: () => void;
  begun: () => number;
} {
  let session = 0;
  let known = 0;
  return {
    answer(request) {
      const { verb, head, message, reply } = request;
      if (message.method === "initialize") {
        known = ++session;
        const result = {
          protocolVersion: "2025-06-18",
          capabilities: { tools: {} },
          serverInfo: { name: "far", version: "1" },
        };
        const text = JSON.stringify({ jsonrpc: "2.0", id: message.id, result });
        return reply(200, "application/json", text, `mcp-session-id: session-${session}\r\n`);
      }
      if (!head.includes(`mcp-session-id: session-${known}`)) return refuse(request);
      if (verb === "GET") return reply(405, "text/plain", "");
      behaved(request, () => reply(202, "text/plain", ""));
    },
    forget: () => void (known = -1),
    begun: () => session,
  };
}

describe("a remote server that has forgotten our session", { timeout: patiently(60_000) }, () => {
  const error = (code: number, message: string) =>
    JSON.stringify({ jsonrpc: "2.0", error: { code, message }, id: null });
  const ways: Record<string, (request: RawRequest) => void> = {
    "400 and the words of the SDK": ({ reply }) =>
      reply(400, "application/json", error(-32_000, "Bad Request: No valid session ID provided")),
    "404 and nothing else": ({ reply }) => reply(404, "text/plain", ""),
    "410 and nothing else": ({ reply }) => reply(410, "text/plain", "Gone"),
    "400 and plain words": ({ reply }) => reply(400, "text/plain", "Invalid or expired session"),
    "400: not initialized": ({ reply }) =>
      reply(400, "application/json", error(-32_000, "Bad Request: Server not initialized")),
    "410": ({ reply }) => reply(410, "application/json", error(-32_000, "Session terminated")),
    "200 and an error": ({ reply, message }) =>
      reply(
        200,
        "application/json",
        JSON.stringify({ jsonrpc: "2.0", id: message.id, error: { code: -32_001, message: "Session not found" } }),
      ),
  };
  for (const [way, refuse] of Object.entries(ways))
    it(`with ${way} is begun anew with the next call`, async () => {
      const server = forgetful(refuse);
      await using remote = await RawRemote.start(server.answer);
      await using keeper = await frontTo(remote.url);
      const talk = await join(keeper, "/mcp/far");
      assert.equal(await callText(talk, "plain"), "plain");
      server.forget();
      assert.match(await callText(talk, "plain"), /has ended our session \(.+\)/);
      assert.equal(await callText(talk, "plain"), "plain");
      assert.equal(server.begun(), 2);
      await talk.delete();
    });

  it("is not one that refuses a call for another reason, or whose tool has sessions of its own", async () => {
    const refusals = [
      [400, error(-32_602, "the argument `region` is missing")],
      [400, "no such tool"],
      [200, ""],
    ] as const;
    let at = 0;
    const server = forgetful(({ reply }) => reply(404, "text/plain", ""));
    await using remote = await RawRemote.start((request) => {
      const { message, reply } = request;
      if (message.params?.name !== "odd") return server.answer(request);
      const [status, body] = refusals[at++]!;
      const own = { jsonrpc: "2.0", id: message.id, error: { code: -32_001, message: "Session not found: browser 7" } };
      reply(status, "application/json", body === "" ? JSON.stringify(own) : body);
    });
    await using keeper = await frontTo(remote.url);
    const talk = await join(keeper, "/mcp/far");
    for (const _ of refusals) assert.match(await callText(talk, "odd"), /^error: (?!.*has ended our session)/);
    assert.equal(server.begun(), 1);
    await talk.delete();
  });

  it("each time it is asked is not asked without end", async () => {
    const server = forgetful(({ reply }) =>
      reply(400, "application/json", error(-32_000, "No valid session ID provided")),
    );
    await using remote = await RawRemote.start((request) => {
      server.answer(request);
      if (request.message.method === "initialize") server.forget();
    });
    await using keeper = await frontTo(remote.url);
    const talk = await join(keeper, "/mcp/far");
    assert.match(await callText(talk, "plain"), /^error: /);
    assert.ok(server.begun() <= 4, `${server.begun()} sessions for one call`);
    await talk.delete();
  });
});

describe("a remote server of the older kind whose config does not say so", { timeout: patiently(60_000) }, () => {
  /** Streams on GET /sse, posts to /messages; `POST /sse` is refused with this. */
  const older =
    (refusal: number) =>
    (request: RawRequest): void => {
      const { verb, path, socket, reply } = request;
      if (verb === "GET" && path === "/sse") {
        stream = socket;
        socket.write(
          "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: endpoint\r\ndata: /messages?id=1\r\n\r\n",
        );
        return;
      }
      if (path !== "/messages?id=1") return reply(refusal, "text/plain", "");
      const say: RawRequest["reply"] = (status, _type, body) => {
        reply(202, "text/plain", "Accepted");
        if (status === 200) stream?.write(`data: ${body}\r\r`);
      };
      behaved({ ...request, reply: say }, () => say(202, "text/plain", ""));
    };
  let stream: RawRequest["socket"] | undefined;

  it("is spoken to as such when it refuses `initialize` at its address", async () => {
    for (const refusal of [405, 404, 400]) {
      await using remote = await RawRemote.start(older(refusal));
      await using keeper = await frontTo(`${remote.origin}/sse`);
      const talk = await join(keeper, "/mcp/far");
      assert.equal(await callText(talk, "plain"), "plain", String(refusal));
      await talk.delete();
    }
  });

  it("or is neither is told so, with what was tried", async () => {
    await using remote = await RawRemote.start(({ reply }) => reply(405, "text/plain", ""));
    await using keeper = await frontTo(`${remote.origin}/sse`);
    const talk = new Talk(`${keeper.url}/mcp/far`);
    const { messages } = await talk.initialize();
    assert.match(messages[0]?.error?.message ?? "", /HTTP 405; tried as `"type": "sse"`, too: HTTP 405/);
  });
});
