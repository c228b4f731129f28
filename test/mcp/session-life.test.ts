/** How sessions begin and end, and what their clients hear of it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { until } from "../helpers/until.ts";
import { FakeKeeper, type FakeOptions } from "../gateway/helpers/fake-keeper.ts";
import { scripted, startTalk, Talk } from "./helpers/talk.ts";

const lease = (idleLeaseMs: number): FakeOptions => ({ config: { session: { idleLeaseMs, sessionsMax: 100 } } });
const runsOf = (keeper: FakeKeeper) => [...keeper.runs.values()];
const endOf = (keeper: FakeKeeper, index = 0) =>
  until("the run has ended", () => runsOf(keeper)[index]?.view.endReason ?? undefined, { boundMs: 10_000 });

describe("a session", { concurrency: 3 }, () => {
  leavesNothing();

  it("begins with initialize: one run, an unguessable id, the client's name in the list", async () => {
    const { keeper, talk } = await startTalk({ begin: false });
    await using _ = keeper;
    const { status, messages } = await talk.initialize("2025-06-18", { name: "Ünï", version: "2" });
    assert.equal(status, 200);
    assert.equal(messages[0]?.id, "first");
    assert.equal(messages[0]?.result?.["protocolVersion"], "2025-06-18");
    assert.match(talk.session ?? "", /^[A-Za-z0-9_-]{32}$/);
    assert.equal(keeper.runs.size, 1);
    assert.equal(runsOf(keeper)[0]?.view.sessionId, talk.session);
    const rpc = new Talk(`${keeper.url}/rpc`);
    const [listed] = (await rpc.request("session.list")).messages;
    assert.deepEqual(
      (listed?.result as unknown as object[] | undefined)?.map((one) => ({
        ...one,
        createdAt: 0,
        lastSeenAt: 0,
        present: false,
      })),
      [
        {
          id: talk.session,
          kind: "mcp",
          client: { name: "Ünï", version: "2" },
          parentId: null,
          createdAt: 0,
          lastSeenAt: 0,
          leaseMs: 600_000,
          present: false,
          server: "s",
          runs: ["fake-1"],
        },
      ],
    );
  });

  it("ends with DELETE: 204 once the tree is gone, 404 for everything afterwards", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const stream = await talk.listen();
    assert.equal((await talk.delete()).status, 204);
    assert.equal(runsOf(keeper)[0]?.view.state, "exited");
    assert.equal(runsOf(keeper)[0]?.view.endReason, "session-ended");
    assert.equal(await stream.next(), undefined, "its stream ends");
    const after = await talk.request("ping");
    assert.deepEqual([after.status, after.messages[0]?.error?.data?.code], [404, "session_unknown"]);
    assert.equal((await talk.delete()).status, 404);
    assert.equal((await talk.listen()).response.statusCode, 404);
  });

  it("is told 202 when the end of its tree takes longer than a second", async () => {
    const { keeper, talk } = await startTalk({
      answer: (message) => (message.type === "run.stop" ? "silence" : undefined),
    });
    await using _ = keeper;
    assert.equal((await talk.delete()).status, 202);
  });

  it("is told on DELETE which processes could not be ended", async () => {
    const survivor = { pid: 4242, ppid: 1, state: "D", rssBytes: 1, startedAt: 1, command: "stuck" };
    const { keeper, talk } = await startTalk({
      answer: (message) => {
        if (message.type !== "run.stop") return undefined;
        const { view } = runsOf(keeper)[0]!;
        return {
          type: "reply",
          request: message.request,
          result: { ...view, state: "stopping", survivors: [survivor] },
        };
      },
    });
    await using _ = keeper;
    const { status, text } = await talk.delete();
    assert.equal(status, 500);
    assert.match(text, /pid 4242 \(D, stuck\)/);
  });

  it("ends calls in flight with an error when it is deleted", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const call = talk.steps([{ hear: ["method", "never"] }], {}, "pending");
    await until("the call is in flight", async () => (await talk.heard()).some((one) => one.method === "do"), {
      boundMs: 5000,
    });
    assert.equal((await talk.delete()).status, 204);
    const [answer] = (await call).messages;
    assert.equal(answer?.id, "pending");
    assert.match(answer?.error?.message ?? "", /session was ended \(session-ended\)/);
  });

  it("ends when nobody spoke for the idle lease; its client gets 404 and a new session works", async () => {
    const { keeper, talk } = await startTalk(lease(1000));
    await using _ = keeper;
    assert.equal(await endOf(keeper), "lease-expired");
    const after = await talk.request("ping");
    assert.deepEqual([after.status, after.messages[0]?.error?.data?.code], [404, "session_unknown"]);
    talk.session = undefined;
    await talk.initialize();
    assert.equal((await talk.steps([{ answer: "again" }])).messages[0]?.result, "again");
  });

  it("is not idle while a call is in flight or its stream is open, however long", async () => {
    const { keeper, talk } = await startTalk(lease(1500));
    await using _ = keeper;
    const other = new Talk(talk.url);
    await other.initialize();
    const stream = await talk.listen();
    const call = other.steps([{ hear: ["method", "go"] }, { answer: "patient" }]);
    const idler = new Talk(talk.url);
    await idler.initialize();
    // A third session, begun after both, marks a whole lease.
    assert.equal(await endOf(keeper, 2), "lease-expired");
    assert.deepEqual(
      runsOf(keeper).map(({ view }) => view.endReason),
      [null, null, "lease-expired"],
    );
    assert.equal((await other.notify("go")).status, 202);
    assert.equal((await call).messages[0]?.result, "patient");
    stream[Symbol.dispose]();
    assert.equal(await endOf(keeper, 0), "lease-expired");
  });

  it("ends with its server: calls in flight hear how, later ones get 404", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const [answer] = (await talk.steps([{ exit: 3 }], {}, 1)).messages;
    assert.equal(answer?.error?.message, 'MCP server "s" exited with code 3');
    assert.equal((await talk.request("ping")).status, 404);
    talk.session = undefined;
    await talk.initialize();
    const call = talk.steps([{ hear: ["method", "never"] }]);
    await until("the call is in flight", async () => (await talk.heard()).some((one) => one.method === "do"), {
      boundMs: 5000,
    });
    runsOf(keeper)[1]?.child.kill("SIGSEGV");
    assert.equal((await call).messages[0]?.error?.message, 'MCP server "s" was ended by SIGSEGV');
  });

  it("delivers what the server said right before it exited, even if the word of its end comes first", async () => {
    for (const exitFirst of [false, true]) {
      const { keeper, talk } = await startTalk({ exitFirst });
      await using _ = keeper;
      const { messages } = await talk.steps([{ big: 500_000 }, { exit: 0 }]);
      assert.equal((messages[0]?.result?.["text"] as string | undefined)?.length, 500_000);
    }
  });

  it("ends when its server closes its output but stays", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const [answer] = (await talk.steps([{ closeOutput: true }])).messages;
    assert.match(answer?.error?.message ?? "", /MCP server "s" closed its output/);
    await endOf(keeper);
  });

  it("that would be one too many is refused with 503 and the name of the key", async () => {
    const { keeper, talk } = await startTalk({ config: { session: { idleLeaseMs: 60_000, sessionsMax: 1 } } });
    await using _ = keeper;
    const second = new Talk(talk.url);
    const { status, messages } = await second.initialize();
    assert.equal(status, 503);
    assert.equal(messages[0]?.id, "first");
    assert.match(messages[0]?.error?.message ?? "", /session\.sessionsMax = 1/);
    assert.equal(keeper.runs.size, 1);
    await talk.delete();
    assert.equal((await second.initialize()).status, 200);
  });

  it("leaves nothing behind when its server cannot be started, and the client hears why", async () => {
    const { keeper, talk } = await startTalk({
      begin: false,
      answer: (message) =>
        message.type === "run.start"
          ? { type: "refusal", request: message.request, code: "spawn_failed", message: "spawn nosuch ENOENT" }
          : undefined,
    });
    await using _ = keeper;
    const { status, messages } = await talk.initialize();
    assert.equal(status, 502);
    assert.match(messages[0]?.error?.message ?? "", /ENOENT/);
    assert.equal(messages[0]?.error?.data?.code, "spawn_failed");
    assert.deepEqual((await new Talk(`${keeper.url}/rpc`).request("session.list")).messages[0]?.result, []);
  });

  it("leaves nothing behind when its server refuses initialize, or dies, or never answers", async () => {
    for (const [version, settings, pattern] of [
      ["error", {}, /not with you/],
      ["silence", { s: { connectionTimeoutMs: 700 } }, /mcpServers\.s\.connectionTimeoutMs = 700/],
    ] as const) {
      const { keeper, talk } = await startTalk({ begin: false, version, settings });
      await using _ = keeper;
      const { messages, headers } = await talk.initialize();
      assert.match(messages[0]?.error?.message ?? "", pattern);
      assert.equal(headers["mcp-session-id"], undefined, "a client would come back with it");
      await endOf(keeper);
      assert.deepEqual((await new Talk(`${keeper.url}/rpc`).request("session.list")).messages[0]?.result, []);
    }
  });

  it("ends when its client leaves before it learned the id", async () => {
    const { keeper, talk } = await startTalk({ begin: false, version: "silence" });
    await using _ = keeper;
    const gone = new AbortController();
    const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "x", version: "1" } };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
    const request = http.request(talk.url, {
      method: "POST",
      headers: talk.headers(),
      agent: false,
      signal: gone.signal,
    });
    const failed = once(request, "error");
    request.end(body);
    await until("the run is there", () => keeper.runs.size === 1, { boundMs: 5000 });
    gone.abort();
    await failed;
    assert.equal(await endOf(keeper), "cancelled");
  });

  it("answers a call that takes longer than requestTimeoutMs with an error, and tells the server", async () => {
    const { keeper, talk } = await startTalk({ settings: { s: { requestTimeoutMs: 400 } } });
    await using _ = keeper;
    const [answer] = (await talk.steps([{ hear: ["method", "never"] }], {}, 9)).messages;
    assert.equal(answer?.id, 9);
    assert.match(answer?.error?.message ?? "", /mcpServers\.s\.requestTimeoutMs = 400/);
    assert.ok((await talk.heard()).some((one) => one.method === "notifications/cancelled"));
    assert.equal((await talk.steps([{ answer: "still there" }])).messages[0]?.result, "still there");
  });

  it("is found under its own server's path only", async () => {
    const command = process.execPath;
    const { keeper, talk } = await startTalk({
      servers: { s: { command, args: [scripted] }, other: { command, args: [scripted] } },
    });
    await using _ = keeper;
    const stray = new Talk(`${keeper.url}/mcp/other`);
    stray.session = talk.session;
    assert.equal((await stray.request("ping")).status, 404);
    assert.equal((await stray.delete()).status, 404);
    assert.equal((await talk.steps([{ answer: "unharmed" }])).messages[0]?.result, "unharmed");
  });

  it("speaks the revision that its server chose, even one that is older than we know", async () => {
    const { keeper, talk } = await startTalk({ version: "2024-11-05" });
    await using _ = keeper;
    const ping = { jsonrpc: "2.0", id: 1, method: "do", params: { steps: [{ answer: {} }] } };
    for (const [version, status] of [
      ["2024-11-05", 200],
      ["2025-03-26", 200],
      ["2025-11-25", 200],
      ["2026-07-28", 400],
      ["1.0", 400],
    ] as const) {
      assert.equal((await talk.post(ping, { "mcp-protocol-version": version })).status, status, version);
    }
  });
});
