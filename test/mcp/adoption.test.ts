/** The front may die at any moment: its sessions go on with the same servers, and nobody waits for what died with it. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { loose, Stage } from "./helpers/stage.ts";
import type { Message, Talk } from "./helpers/talk.ts";

const boundMs = 15_000;

const heardOf = async (talk: Talk, test: (message: Message) => boolean) => (await talk.heard()).find(test);

/** Bytes that a process has read or written so far, by whatever descriptor. */
function bytesOf(pid: number, which: "rchar" | "wchar"): number {
  return Number(new RegExp(`^${which}: (\\d+)$`, "m").exec(readFileSync(`/proc/${pid}/io`, "latin1"))?.[1]);
}

describe("sessions whose front died", { timeout: patiently(120_000), concurrency: 3 }, () => {
  leavesNothing();

  it("go on under their id with the same process; the call in flight breaks, is cancelled, and its late words are dropped", async () => {
    await using stage = await Stage.set();
    const talk = await stage.begin();
    const [before] = await stage.runs();
    const told = {
      say: { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: "$token", progress: 1 } },
    };
    const cancelled = { hear: ["method", "notifications/cancelled"] } as { hear: ["method", unknown] };
    const call = loose(
      talk.steps([{ touch: stage.file("begun") }, cancelled, told, { answer: "late" }], { progressToken: 7 }),
    );
    await until("the call is at the server", () => readable(stage.file("begun")), { boundMs });
    await stage.killFront();
    assert.equal(await call, "broken");
    const cancellation = await until(
      "the cancellation",
      () => heardOf(talk, ({ method }) => method === "notifications/cancelled"),
      { boundMs },
    );
    const asked = await heardOf(talk, ({ method }) => method === "do");
    assert.equal(cancellation.params?.["requestId"], asked?.id);
    const answer = await talk.steps([{ answer: "fresh" }]);
    assert.deepEqual(
      answer.messages.map(({ result, method }) => result ?? method),
      ["fresh"],
    );
    const [after] = await stage.runs();
    assert.deepEqual([after?.id, after?.pid, after?.state], [before?.id, before?.pid, "running"]);
    assert.equal((await talk.delete()).status, 204);
    assert.deepEqual(await stage.runs(), []);
  });

  it("a question that the server had asked gets an error, once, and is not asked again", async () => {
    await using stage = await Stage.set();
    const talk = await stage.begin();
    const question = { jsonrpc: "2.0", id: "q-1", method: "sampling/createMessage", params: {} };
    using events = await talk.stepsOpen([{ say: question }, { hear: ["id", "never"] }]);
    assert.equal((await events.next())?.method, "sampling/createMessage");
    await stage.killFront();
    const replies = async () => (await talk.heard()).filter(({ id }) => id === "q-1");
    const [reply] = await until("the error", async () => ((await replies()).length > 0 ? replies() : undefined), {
      boundMs,
    });
    assert.match(reply?.error?.message ?? "", /connection to the caller was lost/);
    await stage.killFront();
    assert.equal((await replies()).length, 1, "the next front has nothing left to settle");
    using stream = await talk.listen();
    await talk.steps([{ answer: 1 }, { say: { jsonrpc: "2.0", method: "notifications/marker" } }]);
    assert.equal((await stream.next())?.method, "notifications/marker", "the client is not asked again");
  });

  it("what a server says to a front that hangs, dies, and is not there yet, comes afterwards, whole and in order", async () => {
    await using stage = await Stage.set();
    const talk = await stage.begin();
    const say = (n: number) => ({ say: { jsonrpc: "2.0", method: "notifications/count", params: { n } } });
    const numbers = Array.from({ length: 25 }, (_, n) => n);
    const call = loose(
      talk.steps([
        { touch: stage.file("begun") },
        { await: stage.file("stopped") },
        ...numbers.slice(0, 5).map(say),
        { touch: stage.file("said") },
        { await: stage.file("killed") },
        ...numbers.slice(5).map(say),
      ]),
    );
    await until("the call is at the server", () => readable(stage.file("begun")), { boundMs });
    stage.signal("front", "SIGSTOP");
    writeFileSync(stage.file("stopped"), "");
    await until("something is said", () => readable(stage.file("said")), { boundMs });
    stage.signal("front", "SIGKILL");
    writeFileSync(stage.file("killed"), "");
    await stage.renewed();
    await call;
    using stream = await talk.listen();
    const heard: unknown[] = [];
    while (heard.length < numbers.length) heard.push((await stream.next())?.params?.["n"]);
    assert.deepEqual(heard, numbers);
  });

  it("a long answer cut in half is dropped whole, and long messages pass afterwards, again and again", async () => {
    await using stage = await Stage.set();
    const talk = await stage.begin();
    const length = 10_000_000;
    for (let round = 0; round < 2; round += 1) {
      const go = stage.file(`go-${round}`);
      const call = loose(talk.steps([{ touch: `${go}-begun` }, { await: go }, { big: length }]));
      await until("the call is at the server", () => readable(`${go}-begun`), { boundMs });
      const read = bytesOf(stage.gateway.pids.keeper, "rchar");
      stage.signal("front", "SIGSTOP");
      writeFileSync(go, "");
      const isHalfWay = () => bytesOf(stage.gateway.pids.keeper, "rchar") - read > 200_000;
      await until("the answer is on its way", isHalfWay, { boundMs });
      await stage.killFront();
      assert.equal(await call, "broken");
      const { messages } = await talk.steps([{ big: length }]);
      assert.equal(String(messages[0]?.result?.["text"]).length, length);
    }
    assert.ok(!stage.log.includes('"event":"mcp.noise"'), "the second half was taken for a message");
  });

  it("a long request cut in half never reaches its server, and long messages pass afterwards", async () => {
    await using stage = await Stage.set();
    const talk = await stage.begin();
    const [before] = await stage.runs();
    const long = { text: "y".repeat(10_000_000) };
    stage.signal("keeper", "SIGSTOP");
    const call = loose(talk.request("long", long));
    const written = bytesOf(stage.gateway.pids.front, "wchar");
    const isHalfWay = () => bytesOf(stage.gateway.pids.front, "wchar") - written > 100_000;
    await until("the request is on its way", isHalfWay, { boundMs }).finally(() => {
      stage.signal("front", "SIGKILL");
      stage.signal("keeper", "SIGCONT");
    });
    await stage.renewed();
    assert.equal(await call, "broken");
    assert.equal((await talk.steps([{ answer: 1 }])).status, 200);
    assert.equal(await heardOf(talk, ({ method }) => method === "long"), undefined);
    const whole = await talk.post({
      jsonrpc: "2.0",
      id: 1,
      method: "do",
      params: { steps: [{ answer: "whole" }], ...long },
    });
    assert.equal(whole.messages[0]?.result, "whole");
    assert.equal((await stage.runs())[0]?.pid, before?.pid);
  });

  it("before its client knew the session: the run is ended, with the reason on record", async () => {
    await using stage = await Stage.set();
    const call = loose(stage.talk("mute").initialize());
    await until("the run", async () => (await stage.runs())[0]?.state === "running", { boundMs });
    await stage.killFront();
    assert.equal(await call, "broken");
    await until("the run is over", async () => (await stage.runs()).length === 0, { boundMs });
    assert.deepEqual(
      (await stage.runs(true)).map(({ endReason }) => endReason),
      ["front-lost"],
    );
    assert.deepEqual(await stage.gateway.rpc("session.list"), []);
  });

  it("a DELETE in the same instant ends the session or leaves it whole: no run without a session, no session without a run", async () => {
    await using stage = await Stage.set();
    const talks = await Promise.all(Array.from({ length: 6 }, () => stage.begin()));
    const deletes = talks.map((talk) => loose(talk.delete()));
    await deletes[0];
    await stage.killFront();
    await Promise.all(deletes);
    const settled = async () => (await stage.runs()).every(({ state }) => state === "running");
    await until("nothing is ending any more", settled, { boundMs });
    const sessions = (await stage.gateway.rpc("session.list")) as { id: string; runs: string[] }[];
    assert.deepEqual(
      sessions.flatMap(({ runs }) => runs).toSorted(),
      (await stage.runs()).map(({ id }) => id).toSorted(),
    );
    const statuses = await Promise.all(talks.map(async (talk) => (await talk.steps([{ answer: 1 }])).status));
    assert.equal(statuses.filter((status) => status === 200).length, sessions.length);
    assert.ok(
      statuses.every((status) => status === 200 || status === 404),
      statuses.join(),
    );
  });

  it("without the store nobody can claim the runs: they are ended, and the log says why", async () => {
    await using stage = await Stage.set();
    const talk = await stage.begin();
    stage.signal("front", "SIGSTOP");
    writeFileSync(
      join(stage.home.stateDir, "front/sessions.sqlite"),
      "not a database any more, whatever it was before",
    );
    writeFileSync(join(stage.home.stateDir, "front/sessions.sqlite-wal"), "");
    await stage.killFront();
    await until("the run is over", async () => (await stage.runs()).length === 0, { boundMs });
    assert.equal((await talk.steps([{ answer: 1 }])).status, 404);
    for (const event of ["session.store_lost", "run.not_adopted"])
      assert.ok(stage.log.includes(`"event":"${event}"`), event);
    const again = await stage.begin();
    assert.equal((await again.steps([{ answer: 1 }])).status, 200);
  });
});

function readable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false; // not made yet
  }
}
