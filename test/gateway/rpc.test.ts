/** `/rpc` is JSON-RPC 2.0 to the letter, and each method answers as the command line expects. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { until } from "../helpers/until.ts";
import { run } from "../protocol/helpers/samples.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";

interface RpcAnswer {
  id?: unknown;
  result?: unknown;
  error?: { code: number; message: string; data: { code: string } };
}

leavesNothing();

describe("/rpc", () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await FakeKeeper.start({
      answer: (message) =>
        message.type === "run.list"
          ? { type: "reply", request: message.request, result: [{ ...run, id: message.params.all ? "all" : "live" }] }
          : undefined,
    });
  });
  after(() => keeper[Symbol.asyncDispose]());

  async function post(body: string): Promise<{ status: number; answer: RpcAnswer }> {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json; charset=utf-8" };
    const { status, text } = await exchange(`${keeper.url}/rpc`, { method: "POST", headers, body });
    return { status, answer: text === "" ? {} : (JSON.parse(text) as RpcAnswer) };
  }
  const call = async (method: string, params?: unknown, id: unknown = 1) =>
    (await post(JSON.stringify({ jsonrpc: "2.0", id, method, params }))).answer;

  it("answers with the id as it was, of any kind", async () => {
    for (const id of [1, "x", 0, "", 1.5, null]) assert.equal((await call("session.list", undefined, id)).id, id);
  });

  it("has the standard codes for what is wrong", async () => {
    const cases: [string, number, number][] = [
      ["{", 400, -32700],
      ["", 400, -32700],
      ["[]", 400, -32600],
      [
        `[${Array.from({ length: 51 }, () => '{"jsonrpc":"2.0","id":1,"method":"session.list"}').join(",")}]`,
        400,
        -32600,
      ],
      ["1", 400, -32600],
      ['{"id":1,"method":"session.list"}', 400, -32600],
      ['{"jsonrpc":"2.0","id":1}', 400, -32600],
      ['{"jsonrpc":"2.0","id":{},"method":"session.list"}', 400, -32600],
      ['{"jsonrpc":"2.0","id":1,"method":"session.list","params":[]}', 400, -32600],
      ['{"jsonrpc":"2.0","id":1,"method":"no.such"}', 200, -32601],
      ['{"jsonrpc":"2.0","id":1,"method":"toString"}', 200, -32601],
      ['{"jsonrpc":"2.0","id":1,"method":"session.end"}', 200, -32602],
      ['{"jsonrpc":"2.0","id":1,"method":"session.end","params":{"id":5}}', 200, -32602],
      ['{"jsonrpc":"2.0","id":1,"method":"run.list","params":{"al":true}}', 200, -32602],
    ];
    for (const [body, status, code] of cases) {
      const found = await post(body);
      assert.deepEqual([found.status, found.answer.error?.code], [status, code], body);
    }
  });

  it("answers a batch with one answer for each call that has an id, and each is its own", async () => {
    const calls = [
      '{"jsonrpc":"2.0","id":"a","method":"session.list"}',
      "1",
      '{"jsonrpc":"2.0","method":"session.list"}',
      '{"jsonrpc":"2.0","id":"b","method":"no.such"}',
      '{"jsonrpc":"2.0","id":"c","method":"run.list"}',
    ];
    const { status, answer } = await post(`[${calls.join(",")}]`);
    const answers = answer as unknown as RpcAnswer[];
    assert.equal(status, 200);
    assert.deepEqual(
      answers.map(({ id, error }) => [id, error?.code]),
      [
        ["a", undefined],
        [null, -32600],
        ["b", -32601],
        ["c", undefined],
      ],
    );
    assert.deepEqual(await post('[{"jsonrpc":"2.0","method":"session.list"}]'), { status: 204, answer: {} });
  });

  it("names the parameter that is wrong, and the method that is not there", async () => {
    assert.match((await call("run.list", { al: true })).error?.message ?? "", /invalid parameters: unknown key al;/);
    assert.match((await call("session.end", { id: 5 })).error?.message ?? "", /id: expected text, found a number/);
    assert.match((await call("no.such")).error?.message ?? "", /no method "no\.such"; known: gateway\.status, /);
  });

  it("names Holdfast's own code beside the number", async () => {
    const { error } = await call("session.end", { id: "nobody" });
    assert.equal(error?.data.code, "session_unknown");
    assert.match(error?.message ?? "", /holdfast sessions list/);
  });

  it("answers a notification with nothing", async () => {
    const { status, answer } = await post('{"jsonrpc":"2.0","method":"session.list"}');
    assert.deepEqual([status, answer], [204, {}]);
  });

  it("gives the status in the shape that scripts rely on", async () => {
    const status = (await call("gateway.status")).result as Record<string, unknown>;
    const { url } = keeper;
    for (const key of [
      "version",
      "tier",
      "epoch",
      "keeper",
      "front",
      "guardian",
      "runs",
      "orphansSwept",
      "reconciled",
      "crashes",
    ]) {
      assert.ok(key in status, key);
    }
    assert.deepEqual([status["url"], status["urls"], status["sessions"]], [url, [url], 0]);
  });

  it("passes run.list, gateway.stop and gateway.restart on to the keeper", async () => {
    assert.deepEqual((await call("run.list")).result, [{ ...run, id: "live" }]);
    assert.deepEqual((await call("run.list", { all: true })).result, [{ ...run, id: "all" }]);
    assert.equal((await call("gateway.stop")).result, null);
    assert.equal((await call("gateway.restart", { all: true })).result, null);
    const asked = keeper.heard.filter(({ type }) => type === "gateway.stop" || type === "gateway.restart");
    assert.deepEqual(
      asked.map((message) => ("params" in message ? [message.type, message.params] : [])),
      [
        ["gateway.stop", {}],
        ["gateway.restart", { all: true }],
      ],
    );
  });

  it("tells the keeper once a second that it lives, and what it began last", async () => {
    await call("session.list");
    const beats = () =>
      keeper.heard.filter((message) => message.type === "heartbeat").map((message) => message.lastMethod);
    await until("the method's name", () => beats().at(-1) === "rpc session.list", { boundMs: 5000 });
    const heard = beats().length;
    await until("two more heartbeats", () => beats().length >= heard + 2, { boundMs: 5000 });
  });
});
