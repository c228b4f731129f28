/** Messages pass through in both directions, whatever they are; ids and tokens come back as they were written. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { until } from "../helpers/until.ts";
import { startTalk, Talk, type Message } from "./helpers/talk.ts";

/** frontEpoch 3 of the fake keeper: the server sees 3 · 2³¹ + n. */
const firstNumber = 3 * 2 ** 31;
const progress = (at: number) => ({
  jsonrpc: "2.0",
  method: "notifications/progress",
  params: { progressToken: "$token", progress: at },
});
const kinds = (messages: (Message | undefined)[]) =>
  messages.map((message) => message?.method ?? (message?.error === undefined ? "result" : "error"));

describe("relay", () => {
  leavesNothing();

  it("answers with one JSON object when the answer comes first", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const { status, headers, messages } = await talk.steps([{ answer: { ok: true } }], {}, 7);
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "application/json");
    assert.deepEqual(messages, [{ jsonrpc: "2.0", id: 7, result: { ok: true } }]);
  });

  it("shows the server integer ids of its own range, and the client the id that it wrote, byte for byte", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    for (const id of ['"ключ-\\u0041"', "1.50", "9007199254740993", "-0", '"9"', '""']) {
      const reply = await talk.post(`{"jsonrpc":"2.0","method":"do","id":${id},"params":{"steps":[{"answer":{}}]}}`);
      assert.equal(reply.text.includes(`"id":${id},`), true, `${id} in ${reply.text}`);
    }
    const seen = (await talk.heard()).map((message) => message.id);
    assert.deepEqual(
      seen,
      seen.map((_id, index) => firstNumber + index + 1),
    );
  });

  it("keeps calls apart that use the same id at the same time", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const slow = talk.steps([{ hear: ["method", "go"] }, { answer: "slow" }], {}, 1);
    await until("the slow call is in flight", async () => (await talk.heard()).some((one) => one.method === "do"), {
      boundMs: 5000,
    });
    const quick = await talk.steps([{ answer: "quick" }], {}, 1);
    await talk.notify("go");
    assert.deepEqual([quick.messages[0]?.result, (await slow).messages[0]?.result], ["quick", "slow"]);
  });

  it("streams progress on the call that it belongs to, with the client's token, and ends with the answer", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const steps = [{ say: progress(1) }, { say: progress(2) }, { answer: "done" }];
    // Two calls at once with the same client token: each must get its own.
    const both = await Promise.all(["a", "b"].map((id) => talk.steps(steps, { progressToken: "tök" }, id)));
    for (const [index, { headers, messages }] of both.entries()) {
      assert.match(headers["content-type"] ?? "", /^text\/event-stream/);
      assert.deepEqual(kinds(messages), ["notifications/progress", "notifications/progress", "result"]);
      assert.deepEqual(messages[0]?.params, { progressToken: "tök", progress: 1 });
      assert.equal(messages[2]?.id, ["a", "b"][index]);
    }
    const tokens = (await talk.heard())
      .filter((one) => one.method === "do")
      .map((one) => one.params?.["_meta"] as { progressToken: number });
    assert.equal(new Set(tokens.map((meta) => meta.progressToken)).size, 2, "the server sees two different tokens");
  });

  it("drops progress about a call that is over, but not about a task that the call started", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    using stream = await talk.listen();
    await talk.steps([{ answer: "over" }, { say: progress(1) }], { progressToken: 5 });
    const params = {
      steps: [{ answer: "task" }, { say: progress(2) }],
      task: { ttl: 1000 },
      _meta: { progressToken: 6 },
    };
    await talk.request("do", params);
    assert.deepEqual((await stream.next())?.params, { progressToken: 6, progress: 2 });
  });

  it("passes a cancellation on under the server's number, and ends the call's response without an answer", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const call = talk.steps([{ hear: ["method", "notifications/cancelled"] }, { answer: "too late" }], {}, "long");
    await until("the call is in flight", async () => (await talk.heard()).some((one) => one.method === "do"), {
      boundMs: 5000,
    });
    assert.equal((await talk.notify("notifications/cancelled", { requestId: "long", reason: "enough" })).status, 202);
    const { status, messages } = await call;
    assert.deepEqual([status, messages], [200, []]);
    const heard = await talk.heard();
    const cancelled = heard.find((one) => one.method === "notifications/cancelled");
    assert.deepEqual(cancelled?.params, { requestId: heard.find((one) => one.method === "do")?.id, reason: "enough" });
    // Cancelling what is not there is no error, and the server does not hear of it.
    assert.equal((await talk.notify("notifications/cancelled", { requestId: "nothing" })).status, 202);
    assert.equal((await talk.heard()).filter((one) => one.method === "notifications/cancelled").length, 1);
  });

  it("tells the server when a client goes away with a call in flight, and drops the late answer", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const events = await talk.stepsOpen([{ say: progress(1) }, { hear: ["method", "go"] }, { answer: "late" }], {
      progressToken: 1,
    });
    await events.next();
    events[Symbol.dispose]();
    const cancelled = await until(
      "a cancellation",
      async () => (await talk.heard()).find((one) => one.method === "notifications/cancelled"),
      { boundMs: 5000 },
    );
    const number = (await talk.heard()).find((one) => one.method === "do")?.id;
    assert.equal(cancelled.params?.["requestId"], number);
    await talk.notify("go");
    assert.equal((await talk.steps([{ answer: "next" }])).messages[0]?.result, "next");
  });

  it("carries 10 MB both ways, unchanged, while small calls of another session pass", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const other = new Talk(talk.url);
    await other.initialize();
    const text = `${"é漢😀\\".repeat(800_000)}end`;
    const [up, down, ...small] = await Promise.all([
      talk.request("do", { steps: [{ answer: "got it" }], text }),
      talk.steps([{ big: 10_000_000 }]),
      ...Array.from({ length: 20 }, () => other.steps([{ answer: "small" }])),
    ]);
    assert.equal(up.messages[0]?.result, "got it");
    assert.equal((down.messages[0]?.result?.["text"] as string | undefined)?.length, 10_000_000);
    for (const { messages } of small) assert.equal(messages[0]?.result, "small");
    assert.equal((await talk.heard()).find((one) => one.params?.["text"] !== undefined)?.params?.["text"], text);
  });

  it("makes one line of a body that is printed over many, and passes whatever method there is", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const message = { jsonrpc: "2.0", id: 1, method: "do", params: { steps: [{ answer: "a\nb" }] } };
    const reply = await talk.post(JSON.stringify(message, null, 2).replaceAll("\n", "\r\n"));
    assert.equal(reply.messages[0]?.result, "a\nb");
    assert.equal((await talk.notify("no/such/method", { x: [] })).status, 202);
    assert.deepEqual((await talk.heard()).at(-1), { jsonrpc: "2.0", method: "no/such/method", params: { x: [] } });
  });

  it("drops what is no message on the server's stdout, and still finds the messages between", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const noise = 'Listening…\n\n{"level":"info"}\n{broken\n[]\n{"jsonrpc":"2.0","id":424242,"result":{}}\n';
    const { messages } = await talk.steps([
      { write: noise },
      { write: '{"jsonrpc":"2.0",\t"id": $id ,"result":"found"}\r\n' },
    ]);
    assert.deepEqual(
      messages.map(({ result }) => result),
      ["found"],
    );
  });

  it("takes the answer of a server that writes every id as a string for what it is", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const report = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"$id","progress":1}}';
    const steps = [{ write: `${report}\n` }, { write: '{"jsonrpc":"2.0","id":"$id","result":{"by":"string"}}\n' }];
    const { messages } = await talk.steps(steps, { progressToken: "mine" }, 5);
    assert.deepEqual(messages, [
      { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: "mine", progress: 1 } },
      { jsonrpc: "2.0", id: 5, result: { by: "string" } },
    ]);
  });

  it("refuses an answer above messageBytesMax with an error that names the limit", async () => {
    const { keeper, talk } = await startTalk({ config: { messageBytesMax: 100_000 } });
    await using _ = keeper;
    const [answer] = (await talk.steps([{ big: 200_000 }])).messages;
    assert.match(answer?.error?.message ?? "", /limits\.messageBytesMax/);
    assert.equal((await talk.steps([{ big: 50_000 }])).messages[0]?.error, undefined);
  });
});
