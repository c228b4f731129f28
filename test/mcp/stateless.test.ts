/** Clients of revision 2026-07-28, by hand from the specification, in front of servers that know sessions only. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { token, type FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { until } from "../helpers/until.ts";
import { actor, join, namesOf, otherToken, startFront, startsOf } from "./helpers/assembled.ts";
import { asked, StatelessTalk, textIn, type Saying } from "./helpers/stateless.ts";

leavesNothing();
const boundMs = 10_000;
const bearer = { authorization: `Bearer ${token}`, accept: "application/json, text/event-stream" };
const everything = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} };

describe("a client of revision 2026-07-28 in front of session-era servers", { timeout: 60_000 }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await startFront(
      { a: actor("a", "do", "heard"), b: actor("b", "do"), p: actor("p", "do", "heard") },
      { p: { share: "pool" } },
    );
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

  it("is asked in place of its answer, and its call goes on where it was", async () => {
    for (const [path, tool, saying] of [
      ["/mcp/a", "do", { name: "asked", capabilities: everything }],
      ["/mcp", "a__do", { name: "asked", capabilities: everything, scope: "asked" }],
      ["/mcp/p", "do", { name: "asked", capabilities: everything }],
    ] as const) {
      const talk = at(path, saying);
      const given = { ask: "elicitation/create" };
      const question = asked(await talk.call(tool, given));
      assert.equal(question.resultType, "input_required", path);
      const [[key, input] = ["", undefined]] = Object.entries(question.inputRequests);
      assert.equal(input?.method, "elicitation/create");
      assert.deepEqual(Object.keys(input?.params ?? {}), ["from"]);
      const back = {
        inputResponses: { [key]: { action: "accept", content: { n: 1 } } },
        requestState: question.requestState,
      };
      const answer = await talk.call(tool, given, back);
      assert.equal(textIn(answer), '{"action":"accept","content":{"n":1}}');
      assert.equal(answer.result?.["resultType"], "complete");
      assert.match(
        textIn(await talk.call(tool, given, back)),
        /requestState is unknown/,
        "a state is good for one round",
      );
    }
  });

  it("is asked again for what it left out, and hears in the end", async () => {
    const talk = at("/mcp/a", { name: "again", capabilities: everything });
    const given = { ask: "sampling/createMessage" };
    const first = asked(await talk.call("do", given));
    const second = asked(await talk.call("do", given, { inputResponses: {}, requestState: first.requestState }));
    assert.deepEqual(second.inputRequests, first.inputRequests);
    assert.notEqual(second.requestState, first.requestState);
    const [key = ""] = Object.keys(second.inputRequests);
    const inputResponses = { [key]: { role: "assistant" }, unasked: 1 };
    assert.equal(
      textIn(await talk.call("do", given, { inputResponses, requestState: second.requestState })),
      '{"role":"assistant"}',
    );
  });

  it("comes back to its own call only, with the same request", async () => {
    const saying = { name: "mine", capabilities: everything };
    const given = { ask: "sampling/createMessage" };
    const question = asked(await at("/mcp/a", saying).call("do", given));
    const [key = ""] = Object.keys(question.inputRequests);
    const back = { inputResponses: { [key]: {} }, requestState: question.requestState };
    for (const [what, talk, tool, arguments_] of [
      ["another name", at("/mcp/a", { ...saying, name: "other" }), "do", given],
      ["another token", at("/mcp/a", { ...saying, bearer: otherToken }), "do", given],
      ["another path", at("/mcp", saying), "a__do", given],
      ["another scope", at("/mcp/a", { ...saying, scope: "z" }), "do", given],
      ["another tool", at("/mcp/a", saying), "heard", given],
      ["other arguments", at("/mcp/a", saying), "do", { ask: "roots/list" }],
    ] as const)
      assert.match(textIn(await talk.call(tool, arguments_, back)), /requestState is unknown/, what);
    assert.equal(textIn(await at("/mcp/a", saying).call("do", given, back)), "{}");
  });

  it("is never asked what it does not take, nor on behalf of another call", async () => {
    const given = { ask: "sampling/createMessage" };
    assert.match(await at("/mcp/a", { name: "plain" }).text("do", given), /refused: .*cannot be asked/);
    const noUrl = at("/mcp/a", { name: "no url", capabilities: { elicitation: {} }, scope: "no-url" });
    assert.match(await noUrl.text("do", { ask: "tasks/get" }), /refused: .*cannot be asked/);
    // Two calls of clients that look the same: whose question is it?
    const talk = at("/mcp/a", { name: "crowd", capabilities: everything });
    const other = await talk.begin("do", { wait: "crowd" });
    await until("the other call is there", async () => (await talk.text("heard")).includes('"wait":"crowd"'), {
      boundMs,
    });
    assert.match(await talk.text("do", given), /refused: .*nobody can be asked/);
    await talk.text("do", { go: "crowd" });
    assert.match(textIn(await other.answer), /^a:/);
    // In a scope they are one client's.
    const scoped = at("/mcp/a", { name: "crowd", capabilities: everything, scope: "crowd" });
    const waiting = await scoped.begin("do", { wait: "scoped" });
    await until("it is there", async () => (await scoped.text("heard")).includes('"wait":"scoped"'), { boundMs });
    const asking = await scoped.begin("do", given);
    const question = asked(await Promise.race([waiting.answer, asking.answer]));
    assert.equal(question.resultType, "input_required");
    waiting.leave();
    asking.leave();
  });

  it("keeps its roots to itself: without a scope no server is told that it has any", async () => {
    const crowd = at("/mcp/a", { name: "rooted", capabilities: { roots: {} } });
    assert.match(await crowd.text("do", { ask: "roots/list" }), /^(refused: .*|\{"roots":\[\]\})$/);
    const heard = JSON.parse(await crowd.text("heard")) as { method: string; params: { capabilities: object } }[];
    assert.deepEqual(heard.find(({ method }) => method === "initialize")?.params.capabilities, {});
    const scoped = at("/mcp/p", { name: "rooted", capabilities: { roots: {} }, scope: "rooted" });
    const question = asked(await scoped.call("do", {}));
    const [[key, input] = ["", undefined]] = Object.entries(question.inputRequests);
    assert.deepEqual(input, { method: "roots/list" }, "a pooled server is chosen by them");
    const inputResponses = { [key]: { roots: [{ uri: "file:///mine" }] } };
    const own = textIn(await scoped.call("do", {}, { inputResponses, requestState: question.requestState }));
    assert.notEqual(own, await crowd.text("do"));
    assert.equal(await scoped.text("do", { ask: "roots/list" }), '{"roots":[{"uri":"file:///mine"}]}');
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

describe("a call whose client was asked something", { timeout: 30_000 }, () => {
  it("is cancelled when nobody came back in time, and its server is free again", async () => {
    await using keeper = await startFront({ a: actor("a", "do") }, {}, { questionMs: 300 });
    const talk = new StatelessTalk(`${keeper.url}/mcp/a`, { scope: "late", capabilities: { sampling: {} } });
    const given = { ask: "sampling/createMessage" };
    const question = asked(await talk.call("do", given));
    const over = async () => (await talk.text("heard")).includes("notifications/cancelled");
    await until("it is cancelled", over, { boundMs });
    assert.match(await talk.text("heard"), /went away without an answer/);
    const [key = ""] = Object.keys(question.inputRequests);
    const back = { inputResponses: { [key]: {} }, requestState: question.requestState };
    assert.match(textIn(await talk.call("do", given, back)), /requestState is unknown/);
    assert.match(await talk.text("do"), /^a:/);
  });
});
