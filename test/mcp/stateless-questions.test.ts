/** Questions of session-era servers to clients of revision 2026-07-28: in place of an answer, and never to another's call. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { actor, otherToken, startActors, startFront } from "./helpers/assembled.ts";
import { asked, StatelessTalk, textIn, type Saying } from "./helpers/stateless.ts";

leavesNothing();
const boundMs = 10_000;
const everything = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} };

describe("a client of revision 2026-07-28 whose server wants to know something", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await startActors();
  });
  after(() => keeper[Symbol.asyncDispose]());
  const at = (path: string, saying: Saying = {}) => new StatelessTalk(`${keeper.url}${path}`, saying);

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
      const foreign = { ...back, requestState: "somebody else's" };
      assert.match(
        textIn(await talk.call(tool, given, foreign)),
        /requestState is unknown/,
        "and no other is any good",
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
    assert.match(await talk.text("do", given), /refused: .*no client can be asked/);
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
});

describe("a call whose client was asked something", { timeout: patiently(30_000) }, () => {
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
