/** Servers that sessions share: who may share, that nobody hears what is another's, and how long a server lives. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { actor, callEvents, callText, join, namesOf, startFront, startsOf, textOf } from "./helpers/assembled.ts";
import type { Talk } from "./helpers/talk.ts";

leavesNothing();
const boundMs = 10_000;
const sampling = { sampling: {} };

/** A call that waits under this name, once it is with the server. */
async function callThatWaits(talk: Talk, name: string): Promise<{ answer: Promise<string> }> {
  const answer = callText(talk, "do", { wait: name });
  const isThere = async () => (await callText(talk, "heard")).includes(`"wait":"${name}"`);
  await until("the call is with the server", isThere, { boundMs });
  return { answer };
}

describe("a pooled server", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await startFront({ p: actor("p", "do") }, { p: { share: "pool" } });
  });
  after(() => keeper[Symbol.asyncDispose]());
  const at = (capabilities: object = {}) => join(keeper, "/mcp/p", capabilities);
  const leave = (...talks: Talk[]) => Promise.all(talks.map((talk) => talk.delete()));

  it("is one process for all clients of the same kind, and ends with the last of them", async () => {
    const counted = startsOf(keeper, "p");
    const [one, two] = [await at(), await at()];
    const pid = await callText(one, "do");
    assert.equal(await callText(two, "do"), pid);
    await leave(one);
    assert.equal(await callText(two, "do"), pid, "the other still has it");
    assert.equal(startsOf(keeper, "p"), Math.max(counted, 1) + (counted > 0 ? 1 : 0));
    await leave(two);
    assert.throws(() => process.kill(Number(pid.split(":")[1]), 0));
  });

  it("is never shared by clients of other capabilities or other roots", async () => {
    const plain = await at();
    const sampler = await at(sampling);
    const rooted = async (uri: string) => {
      const talk = await at({ roots: {} });
      // The first call waits for the roots: they are asked for on it.
      using events = await callEvents(talk, "do", {});
      const question = await events.next();
      assert.equal(question?.method, "roots/list");
      await talk.post({ jsonrpc: "2.0", id: question?.id, result: { roots: [{ uri }] } });
      return { talk, pid: textOf([(await events.next())!]) };
    };
    const [here, there, hereToo] = [await rooted("file:///a"), await rooted("file:///b"), await rooted("file:///a")];
    const pids = [await callText(plain, "do"), await callText(sampler, "do"), here.pid, there.pid];
    assert.equal(new Set(pids).size, 4, pids.join(" "));
    assert.equal(hereToo.pid, here.pid, "the same roots: the same server");
    assert.equal(await callText(here.talk, "do", { ask: "roots/list" }), '{"roots":[{"uri":"file:///a"}]}');
    await leave(plain, sampler, here.talk, there.talk, hereToo.talk);
  });

  it("asks the one client whose call is in flight, and is refused when there are two, or one that gave up", async () => {
    const [one, two] = [await at(sampling), await at(sampling)];
    using events = await callEvents(one, "do", { ask: "sampling/createMessage" });
    const question = await events.next();
    assert.equal(question?.method, "sampling/createMessage");
    await one.post({ jsonrpc: "2.0", id: question?.id, result: "from one" });
    assert.equal(textOf([(await events.next())!]), '"from one"');

    const held = await callThatWaits(two, "busy");
    const refused = /refused: this server is shared .* several sessions have calls in flight/;
    assert.match(await callText(one, "do", { ask: "sampling/createMessage" }), refused);
    await callText(one, "do", { go: "busy" });
    await held.answer;

    // Two gives up a call that the server goes on with: what the server asks then may be about that one.
    const pid = await callText(one, "do");
    const stay = await callThatWaits(one, "stay");
    const lost = two.request("tools/call", { name: "do", arguments: { wait: "ghost" } }, "lost");
    await until("the call is there", async () => (await callText(one, "heard")).includes("ghost"), { boundMs });
    await two.notify("notifications/cancelled", { requestId: "lost" });
    assert.deepEqual((await lost).messages, []);
    assert.match(await callText(one, "do", { ask: "sampling/createMessage" }), refused);
    assert.equal(await callText(one, "do", { go: "stay" }), pid);
    await stay.answer;
    assert.notEqual(await callText(one, "do"), pid, "with its last call it makes way for a clean one");
    await leave(one, two);
  });

  it("tells progress and answers to nobody but their caller, under the caller's own ids and tokens", async () => {
    const talks = [await at(), await at()];
    const progress = async (talk: Talk, mine: string) => {
      const params = { name: "do", arguments: { wait: mine }, _meta: { progressToken: "same" } };
      return talk.request("tools/call", params, "same-id");
    };
    const answers = talks.map((talk, n) => progress(talk, `p${n}`));
    const heard = async () => callText(talks[0]!, "heard");
    await until("both are there", async () => /"wait":"p0"/.test(await heard()) && /"wait":"p1"/.test(await heard()), {
      boundMs,
    });
    const tokens = [...(await heard()).matchAll(/"wait":"p(\d)"\},"_meta":\{"progressToken":(\d+)\}/g)];
    assert.equal(new Set(tokens.map(([, , token]) => token)).size, 2, "the server sees two tokens");
    const third = await at();
    for (const [, n, token] of tokens) {
      const params = { progressToken: Number(token), progress: 1, message: `for ${n}` };
      await callText(third, "do", { say: { jsonrpc: "2.0", method: "notifications/progress", params } });
    }
    for (const n of [0, 1]) await callText(third, "do", { go: `p${n}` });
    for (const [n, { messages }] of (await Promise.all(answers)).entries()) {
      assert.deepEqual(messages[0]?.params, { progressToken: "same", progress: 1, message: `for ${n}` });
      assert.equal(messages.at(-1)?.id, "same-id");
      assert.equal(messages.length, 2);
    }
    await leave(...talks, third);
  });

  it("tells log lines and other words to nobody while two have calls in flight", async () => {
    const [one, two] = [await at(), await at()];
    using listening = await one.listen();
    // One's call was there first: a rule that took the first would tell one.
    const held = await callThatWaits(one, "log");
    const secret = {
      jsonrpc: "2.0",
      method: "notifications/message",
      params: { level: "info", data: "secret of two" },
    };
    await callText(two, "do", { say: secret });
    await callText(two, "do", { go: "log" });
    assert.doesNotMatch(await held.answer, /secret/);
    await leave(one, two);
    for (let event = await listening.next(); event !== undefined; event = await listening.next())
      assert.doesNotMatch(JSON.stringify(event), /secret/);
  });

  it("tells of a changed resource only who subscribed to it, and one's unsubscribing takes nothing from another", async () => {
    const [one, two, three] = [await at(), await at(), await at()];
    const events = [await one.listen(), await two.listen(), await three.listen()];
    for (const talk of [one, two]) await talk.request("resources/subscribe", { uri: "memo://p" });
    await one.request("resources/unsubscribe", { uri: "memo://p" });
    assert.doesNotMatch(await callText(three, "heard"), /resources\/unsubscribe/);
    const updated = { jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri: "memo://p" } };
    await callText(three, "do", { say: updated });
    assert.deepEqual((await events[1]!.next())?.method, "notifications/resources/updated");
    await leave(one, two, three);
    for (const stream of [events[0]!, events[2]!]) assert.equal(await stream.next(), undefined, "heard nothing");
  });
});

describe("the life of a server", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    const servers = { idle: actor("idle", "do"), short: actor("short", "do"), broken: actor("broken", "do") };
    const settings = { idle: { idleTimeoutMs: 300 }, short: { maxLifetimeMs: 400 } };
    keeper = await startFront({ ...servers, dead: { command: "false", args: [] } }, settings);
  });
  after(() => keeper[Symbol.asyncDispose]());
  const isGone = (pid: string) => () => {
    try {
      return !process.kill(Number(pid.split(":")[1]), 0);
    } catch {
      return true;
    }
  };

  it("ends a server that nobody calls, never one with a call in flight, and starts it again for the next call", async () => {
    const talk = await join(keeper, "/mcp/idle");
    const held = callText(talk, "do", { wait: "long" });
    const pid = await callText(talk, "do");
    const began = performance.now();
    await until("three times the idle timeout", () => performance.now() - began > 900, { boundMs });
    assert.equal(await callText(talk, "do", { go: "long" }), pid);
    assert.equal(await held, pid);
    await until("it is gone", isGone(pid), { boundMs });
    assert.deepEqual(await namesOf(talk), ["do"], "the list is known without it");
    assert.notEqual(await callText(talk, "do"), pid);
    await talk.delete();
  });

  it("gives calls to a new process after the maximum lifetime, and ends the old one with its last call", async () => {
    const talk = await join(keeper, "/mcp/short");
    const held = callText(talk, "do", { wait: "over" });
    const pid = await callText(talk, "do");
    await until("another process", async () => (await callText(talk, "do")) !== pid, { boundMs, everyMs: 50 });
    assert.equal(isGone(pid)(), false, "it still has a call");
    held.catch(() => {});
    await talk.notify("notifications/cancelled", { requestId: 1 });
    await until("it is gone", isGone(pid), { boundMs });
    await talk.delete();
  });

  it("says in the error of a call why a server is not started again, and when it will be", async () => {
    const talk = await join(keeper);
    const said: string[] = [];
    // Each call ends the process before it has answered any; between starts the pauses grow.
    for (let n = 0; n < 4; n++) said.push(await callText(talk, "broken__do", { exit: 7 }));
    assert.match(said[0] ?? "", /MCP server "broken" exited with code 7/);
    const last = said.at(-1) ?? "";
    assert.match(last, /exited with code 7|failed \d times in a row, so it is restarted with growing pauses/);
    const listed = (await namesOf(talk)).filter((name) => name.startsWith("dead__"));
    assert.deepEqual(listed, [], "a server that cannot start is left out, and the others are there");
    assert.match(await callText(talk, "dead__x"), /MCP server "dead" (exited with code 1|failed)/);
    await talk.delete();
  });
});
