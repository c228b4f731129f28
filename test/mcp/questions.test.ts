/** What the server asks or says of its own accord reaches its client, in order, or the server hears that it cannot. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { startTalk, withTwoInFlight, type Message } from "./helpers/talk.ts";

const ask = (id: unknown, method = "sampling/createMessage") => ({ jsonrpc: "2.0", id, method, params: { text: "?" } });
const kinds = (messages: (Message | undefined)[]) =>
  messages.map((message) => message?.method ?? (message?.error === undefined ? "result" : "error"));

describe("the server's own words", { concurrency: 3 }, () => {
  leavesNothing();

  it("brings a server's question to the only call in flight, and its answer back under the server's own id", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    for (const id of [0, "frage-ü", 7.5]) {
      using call = await talk.stepsOpen([{ say: ask(id) }, { hear: ["id", id] }, { answer: "asked" }]);
      const question = await call.next();
      assert.equal(question?.method, "sampling/createMessage");
      assert.deepEqual(question?.params, { text: "?" });
      assert.equal(typeof question?.id, "number");
      assert.equal((await talk.post({ jsonrpc: "2.0", id: question?.id, result: { said: "yes" } })).status, 202);
      assert.equal((await call.next())?.result, "asked");
      // A second answer goes nowhere.
      assert.equal((await talk.post({ jsonrpc: "2.0", id: question?.id, result: { said: "no" } })).status, 202);
      const back = (await talk.heard()).filter((one) => one.id === id);
      assert.deepEqual(back, [{ jsonrpc: "2.0", id, result: { said: "yes" } }]);
    }
  });

  it("brings a question to the stream when no call or several are in flight, and an error back as well", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    using stream = await talk.listen();
    await withTwoInFlight(talk, async () => {
      const asked = talk.steps([{ say: ask("q", "elicitation/create") }, { hear: ["id", "q"] }, { answer: "done" }]);
      const question = await stream.next();
      assert.equal(question?.method, "elicitation/create");
      await talk.post({ jsonrpc: "2.0", id: question?.id, error: { code: -1, message: "no" } });
      assert.equal((await asked).messages.at(-1)?.result, "done");
    });
    assert.deepEqual((await talk.heard()).find((one) => one.id === "q")?.error, { code: -1, message: "no" });
  });

  it("keeps what the server says while nobody listens, in order, and delivers it when the stream opens", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const note = (n: number) => ({ say: { jsonrpc: "2.0", method: "notifications/message", params: { n } } });
    await withTwoInFlight(
      talk,
      async () => void (await talk.steps([note(1), { say: ask(5, "roots/list") }, note(2), { answer: "said" }])),
    );
    using stream = await talk.listen();
    const got = [await stream.next(), await stream.next(), await stream.next()];
    assert.deepEqual(kinds(got), ["notifications/message", "roots/list", "notifications/message"]);
    assert.deepEqual([got[0]?.params, got[2]?.params], [{ n: 1 }, { n: 2 }]);
    await talk.post({ jsonrpc: "2.0", id: got[1]?.id, result: { roots: [] } });
    assert.deepEqual((await talk.heard()).at(-1), { jsonrpc: "2.0", id: 5, result: { roots: [] } });
  });

  it("drops the oldest notifications when too many wait, keeps the questions, and refuses those that find no room", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const notes = Array.from({ length: 300 }, (_each, n) => ({
      say: { jsonrpc: "2.0", method: "notifications/message", params: { n } },
    }));
    const questions = Array.from({ length: 260 }, (_each, n) => ({ say: ask(`q${n}`) }));
    await withTwoInFlight(talk, async () => void (await talk.steps([...notes, ...questions, { answer: "flooded" }])));
    const refused = (await talk.heard()).filter((message) => message.error?.data?.code === "session_unknown");
    assert.deepEqual(
      refused.map(({ id }) => id),
      ["q256", "q257", "q258", "q259"],
    );
    using stream = await talk.listen();
    assert.equal((await stream.next())?.method, "sampling/createMessage");
  });

  it("withdraws a question that the server cancelled before anybody heard it, and passes on a cancellation after that", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const cancel = (requestId: string) => ({
      say: { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } },
    });
    await withTwoInFlight(
      talk,
      async () =>
        void (await talk.steps([
          { say: ask("unheard") },
          cancel("unheard"),
          { say: ask("heard", "elicitation/create") },
          { answer: 1 },
        ])),
    );
    using stream = await talk.listen();
    const question = await stream.next();
    assert.equal(question?.method, "elicitation/create");
    await talk.steps([{ answer: 2 }, cancel("heard")]);
    const cancelled = await stream.next();
    assert.equal(cancelled?.method, "notifications/cancelled");
    assert.deepEqual(cancelled?.params, { requestId: question?.id });
    // Its answer comes too late and goes nowhere.
    assert.equal((await talk.post({ jsonrpc: "2.0", id: question?.id, result: {} })).status, 202);
    assert.equal(
      (await talk.heard()).some((one) => one.id === "heard" || one.id === "unheard"),
      false,
    );
  });

  it("reports progress of the client on a server's question under the server's token", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const question = {
      jsonrpc: "2.0",
      id: 1,
      method: "sampling/createMessage",
      params: { _meta: { progressToken: "srv" } },
    };
    using call = await talk.stepsOpen([
      { say: question },
      { hear: ["method", "notifications/progress"] },
      { answer: 1 },
    ]);
    const asked = await call.next();
    const progressToken = (asked?.params?.["_meta"] as { progressToken?: number } | undefined)?.progressToken;
    assert.equal(typeof progressToken, "number");
    await talk.notify("notifications/progress", { progressToken, progress: 0.5 });
    assert.equal((await call.next())?.result, 1);
    const heard = (await talk.heard()).find((one) => one.method === "notifications/progress");
    assert.deepEqual(heard?.params, { progressToken: "srv", progress: 0.5 });
  });
});
