/** Clients of revision 2026-07-28, by hand from the specification, in front of servers that know sessions only. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { token, type FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { join, namesOf, otherToken, startActors, startsOf } from "./helpers/assembled.ts";
import { StatelessTalk, textIn, type Saying } from "./helpers/stateless.ts";

leavesNothing();
const boundMs = 10_000;
const bearer = { authorization: `Bearer ${token}`, accept: "application/json, text/event-stream" };

describe("a client of revision 2026-07-28 in front of session-era servers", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await startActors();
  });
  after(() => keeper[Symbol.asyncDispose]());
  const at = (path: string, saying: Saying = {}) => new StatelessTalk(`${keeper.url}${path}`, saying);

  it("discovers, lists and calls without a session, on /mcp and on one server", async () => {
    for (const [path, own, prefix] of [
      ["/mcp", "holdfast", "a__"],
      ["/mcp/a", "a", ""],
    ] as const) {
      const talk = at(path);
      const found = await talk.request("server/discover");
      assert.equal(found.headers["mcp-session-id"], undefined);
      assert.equal(found.text.split('"resultType"').length, 2, "no key is there twice");
      const { supportedVersions, capabilities, resultType, ttlMs, cacheScope, _meta } = found.message.result ?? {};
      assert.deepEqual([resultType, ttlMs, cacheScope], ["complete", 5000, "private"]);
      assert.ok((supportedVersions as string[]).includes("2026-07-28"));
      assert.notEqual((capabilities as { tools?: object }).tools, undefined);
      const named = (_meta as Record<string, { name: string }>)["io.modelcontextprotocol/serverInfo"];
      assert.equal(named?.name, own);
      const { tools, ...rest } = (await talk.request("tools/list")).message.result ?? {};
      assert.ok((tools as { name: string }[]).some(({ name }) => name === `${prefix}do`));
      assert.deepEqual(rest, { resultType: "complete", ttlMs: 5000, cacheScope: "private" });
      const answer = await talk.call(`${prefix}do`);
      assert.match(textIn(answer), /^a:\d+$/);
      assert.equal(answer.result?.["resultType"], "complete");
      const read = (await talk.request("resources/read", { uri: "memo://a" })).message.result;
      assert.deepEqual([read?.["resultType"], read?.["ttlMs"], read?.["cacheScope"]], ["complete", 0, "private"]);
    }
  });

  it("tells its servers nothing of the revision that they do not know", async () => {
    const talk = at("/mcp/a", { name: "plain" });
    await talk.request("tools/call", { name: "do", arguments: {} }, { "com.example/kept": { é: 1 } });
    const heard = JSON.parse(await talk.text("heard")) as { method: string; params: Record<string, unknown> }[];
    const begun = heard.find(({ method }) => method === "initialize");
    assert.equal(begun?.params["protocolVersion"], "2025-11-25");
    const calls = heard.filter(({ method }) => method === "tools/call").map(({ params }) => params["_meta"]);
    assert.deepEqual(calls, [{ "com.example/kept": { é: 1 } }, {}]);
  });

  it("is refused where its headers and its body do not say the same", async () => {
    const talk = at("/mcp/a");
    const call = { name: "do", arguments: {} };
    const body = { jsonrpc: "2.0", ...talk.message("tools/call", call) };
    const right = talk.headers("tools/call", call);
    const refusal = async (message: object, headers: Record<string, string>) => {
      const { status, messages } = await talk.post(message, headers);
      return [status, messages[0]?.error?.code ?? messages[0]?.result?.["resultType"], messages[0]?.id];
    };
    const { "mcp-protocol-version": _version, ...unversioned } = right;
    const { "mcp-method": _method, ...unnamedMethod } = right;
    const { "mcp-name": _name, ...unnamed } = right;
    const base64 = (text: string) => `=?base64?${Buffer.from(text).toString("base64")}?=`;
    const meta = (change: object) => ({
      ...body,
      params: { ...call, _meta: { ...(body.params as { _meta: object })._meta, ...change } },
    });
    const key = "io.modelcontextprotocol/";
    for (const [what, message, headers, status, code] of [
      ["equal", body, right, 200, "complete"],
      ["equal, encoded", body, { ...right, "mcp-name": base64("do") }, 200, "complete"],
      ["a session id is ignored", body, { ...right, "mcp-session-id": "guess" }, 200, "complete"],
      ["no version header", body, unversioned, 400, -32_020],
      ["another version header", body, { ...right, "mcp-protocol-version": "2025-11-25" }, 400, -32_020],
      ["no method header", body, unnamedMethod, 400, -32_020],
      ["another method", body, { ...right, "mcp-method": "tools/list" }, 400, -32_020],
      ["no name header", body, unnamed, 400, -32_020],
      ["another name", body, { ...right, "mcp-name": "heard" }, 400, -32_020],
      ["another name, encoded", body, { ...right, "mcp-name": base64("heard") }, 400, -32_020],
      ["no base64", body, { ...right, "mcp-name": "=?base64?d*?=" }, 400, -32_020],
      ["no version in the body", meta({ [`${key}protocolVersion`]: undefined }), right, 400, -32_602],
      ["no capabilities", meta({ [`${key}clientCapabilities`]: undefined }), right, 400, -32_602],
    ] as const)
      assert.deepEqual(await refusal(message, headers), [status, code, body.id], what);
    for (const version of ["2099-01-01", "1900-01-01"]) {
      const unknown = meta({ [`${key}protocolVersion`]: version });
      const { status, messages } = await talk.post(unknown, { ...right, "mcp-protocol-version": version });
      const error = messages[0]?.error;
      const data = error?.data as unknown as { requested: string; supported: string[] };
      assert.deepEqual([status, error?.code, data.requested], [400, -32_022, version]);
      assert.ok(data.supported.includes("2026-07-28"));
    }
  });

  it("finds what the revision no longer has unknown, and whatever else is no request", async () => {
    const talk = at("/mcp");
    for (const method of ["initialize", "ping", "logging/setLevel", "resources/subscribe", "no/such"]) {
      const { status, message } = await talk.request(method, { uri: "memo://a" });
      assert.deepEqual([status, message.error?.code], [404, -32_601], method);
    }
    const version = { "mcp-protocol-version": "2026-07-28" };
    assert.equal((await talk.post({ jsonrpc: "2.0", method: "notifications/cancelled" }, version)).status, 202);
    assert.equal((await talk.post({ jsonrpc: "2.0", id: 1, result: {} }, version)).status, 400);
    for (const method of ["GET", "DELETE"]) {
      const reply = await exchange(`${keeper.url}/mcp`, { method, headers: { ...bearer, ...version } });
      assert.deepEqual([reply.status, reply.headers.allow], [405, "POST"], method);
    }
  });

  it("has a server of its own kind: by token, client and capabilities, or by the scope that it names", async () => {
    const pid = (saying: Saying, path = "/mcp/a") => at(path, saying).text("do");
    const one = await pid({ name: "one" });
    assert.equal(await pid({ name: "one" }), one, "the same client finds its server again");
    const others = [
      await pid({ name: "two" }),
      await pid({ name: "one", capabilities: { sampling: {} } }),
      await pid({ name: "one", scope: "x" }),
      await pid({ name: "one", scope: "y" }),
      await pid({ name: "one", bearer: otherToken }),
    ];
    assert.equal(new Set([one, ...others]).size, 6, [one, ...others].join(" "));
    assert.equal(
      await pid({ name: "seven", scope: "y" }),
      others[3],
      "a scope stands for its client, whatever its name",
    );
    const session = await join(keeper, "/mcp/a");
    assert.notEqual((await session.request("tools/call", { name: "do" })).messages[0]?.result, undefined);
    await session.delete();
    const pooled = await pid({ name: "one" }, "/mcp/p");
    assert.equal(await pid({ name: "two" }, "/mcp/p"), pooled, "a pooled server is for all of the same capabilities");
    assert.notEqual(await pid({ name: "two", capabilities: { sampling: {} } }, "/mcp/p"), pooled);
  });

  it("cancels a call by closing its response", async () => {
    const talk = at("/mcp/a", { name: "leaving" });
    const call = await talk.begin("do", { wait: "never" });
    const heard = async () => talk.text("heard");
    await until("the call is there", async () => (await heard()).includes('"wait":"never"'), { boundMs });
    call.leave();
    await until("it is cancelled", async () => (await heard()).includes("notifications/cancelled"), { boundMs });
  });

  it("listens for changes, and hears of nothing that it did not name", async () => {
    const talk = at("/mcp/b", { name: "listening" });
    await talk.text("do");
    const notifications = {
      toolsListChanged: true,
      promptsListChanged: true,
      resourceSubscriptions: ["memo://b"],
    };
    using events = await talk.stream("subscriptions/listen", { notifications });
    const acknowledged = await events.next();
    const id = acknowledged?.params?.["_meta"];
    assert.equal(typeof (id as Record<string, unknown>)["io.modelcontextprotocol/subscriptionId"], "number");
    assert.equal(acknowledged?.method, "notifications/subscriptions/acknowledged");
    const { promptsListChanged: _, ...kept } = notifications;
    assert.deepEqual(acknowledged?.params?.["notifications"], kept, "prompts never change on this server");
    const updated = (uri: string) => ({ jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri } });
    await talk.text("do", { say: updated("memo://other") });
    await talk.text("do", { say: updated("memo://b") });
    assert.deepEqual(await events.next(), { ...updated("memo://b"), params: { _meta: id, uri: "memo://b" } });
    await talk.text("do", { list: ["do", "more"] });
    const changed = await events.next();
    assert.deepEqual(changed, { jsonrpc: "2.0", method: "notifications/tools/list_changed", params: { _meta: id } });
    const { tools } = (await talk.request("tools/list")).message.result as { tools: { name: string }[] };
    assert.deepEqual(
      tools.map(({ name }) => name),
      ["do", "more"],
    );
  });

  it("is not promised to hear of what the server refuses, however many listen at once", async () => {
    const talk = at("/mcp/b", { name: "refused" });
    await talk.text("do");
    const notifications = { resourceSubscriptions: ["memo://refused", "memo://b"] };
    const both = [1, 2].map(() => talk.stream("subscriptions/listen", { notifications }));
    await talk.text("do");
    await talk.text("do", { go: "refuse" });
    for (const stream of await Promise.all(both)) {
      using events = stream;
      const { notifications: kept } = ((await events.next())?.params ?? {}) as { notifications?: object };
      assert.deepEqual(kept, { resourceSubscriptions: ["memo://b"] });
    }
  });

  it("hears progress and the log with its own answer, and no log that it did not ask for", async () => {
    const talk = at("/mcp/a", { name: "log" });
    const log = (level: string) => ({
      jsonrpc: "2.0",
      method: "notifications/message",
      params: { level, data: level },
    });
    const call = { name: "do", arguments: { say: log("info") } };
    assert.equal((await talk.request("tools/call", call)).messages.length, 1);
    const level = { "io.modelcontextprotocol/logLevel": "info" };
    const spoken = (await talk.request("tools/call", call, level)).messages;
    assert.deepEqual(spoken[0], log("info"));
    assert.equal(spoken.length, 2);
    const quiet = { name: "do", arguments: { say: log("debug") } };
    assert.equal((await talk.request("tools/call", quiet, level)).messages.length, 1);
  });

  it("leaves session clients on the same path as they were", async () => {
    const session = await join(keeper);
    assert.ok((await namesOf(session)).includes("a__do"));
    const { messages } = await session.request("tools/call", { name: "a__do", arguments: {} });
    assert.equal(messages[0]?.result?.["resultType"], undefined);
    await session.delete();
    assert.ok(startsOf(keeper, "a") > 0);
  });
});
