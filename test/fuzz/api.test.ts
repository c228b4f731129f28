/** API calls of strangers: each is answered, and none reaches a handler that does not fit its schema. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as fc from "fast-check";
import type { z } from "zod";
import { MethodDispatcher } from "../../src/gateway/dispatch.ts";
import type { AllHandlers, Caller } from "../../src/gateway/methods/handlers.ts";
import { readAuth } from "../../src/gateway/websocket/auth.ts";
import { api } from "../../src/protocol/api/index.ts";
import { damaged, deepText, valueText } from "./helpers/json-texts.ts";
import { idText } from "./helpers/messages.ts";
import { property } from "./helpers/property.ts";
import { harm, harmed, throughJson, valueOf } from "./helpers/shapes.ts";

const heard: { params?: unknown } = {};
const handlers = Object.fromEntries(
  Object.keys(api).map((name) => [
    name,
    (params: unknown) => (assert.ok(params !== undefined), (heard.params = params), name),
  ]),
) as unknown as AllHandlers;
const dispatcher = new MethodDispatcher({ handlers, announce: () => {} });
const caller = { id: "t", scopes: new Set(["read", "run", "admin"]), peer: {} } as unknown as Caller;

const methods = fc.constantFrom(...Object.keys(api)) as fc.Arbitrary<keyof typeof api>;
const call = methods.chain((method) =>
  fc.record({
    jsonrpc: fc.constant("2.0"),
    id: fc.oneof(fc.string(), fc.integer()),
    method: fc.constant(method),
    params: valueOf(api[method].params as z.ZodType).map(throughJson),
  }),
);

function isResponse(body: unknown): void {
  const { jsonrpc, id, error, ...rest } = body as {
    jsonrpc: unknown;
    id: unknown;
    error?: { message: string; data: { code: string } };
    result?: unknown;
  };
  assert.equal(jsonrpc, "2.0");
  assert.ok(id === null || typeof id === "string" || typeof id === "number", `id ${String(id)}`);
  assert.notEqual(error === undefined, rest.result === undefined, "a result or an error");
  if (error !== undefined) assert.ok(error.message !== "" && error.data.code !== "internal", error.message);
}
const isAnswer = (text: string) => [JSON.parse(text) as unknown].flat().forEach(isResponse);

const anyText = fc.oneof(
  valueText,
  damaged(call.map((value) => JSON.stringify(value))),
  fc.tuple(call, harm).map(([value, each]) => JSON.stringify(harmed(value, each).value) ?? "null"),
  fc.array(call, { maxLength: 3 }).map((value) => JSON.stringify(value)),
  fc
    .tuple(fc.constantFrom("id", "params", "method", "x"), deepText)
    .map(([key, text]) => `{"jsonrpc":"2.0","method":"session.list","${key}":${text}}`),
);

describe("an API call", () => {
  property("that fits its schema reaches its handler, with what was asked", 200, call, async (value) => {
    const { body } = await dispatcher.answer(JSON.stringify(value), caller);
    assert.deepEqual(body, { jsonrpc: "2.0", id: value.id, result: value.method });
    const parsed = (api[value.method].params as z.ZodType).parse(value.params);
    assert.deepEqual(heard.params, parsed);
  });
  property("of any text is answered by a response, and never as a defect", 400, anyText, async (text) => {
    const { body } = await dispatcher.answer(text, caller);
    if (body !== undefined) isAnswer(JSON.stringify(body));
  });
  property(
    "that is one too many gets an answer, too",
    300,
    fc.oneof(
      anyText,
      idText.map((id) => `{"id":${id}}`),
    ),
    (text) => {
      isAnswer(dispatcher.refuse(text, "busy"));
    },
  );
  property(
    "`auth` of any text is answered",
    200,
    fc.oneof(
      anyText,
      fc.string().map((token) => JSON.stringify({ jsonrpc: "2.0", id: 1, method: "auth", params: { token } })),
    ),
    (text) => {
      const { token, refusal, accepted } = readAuth(text);
      assert.ok(token === undefined || (JSON.parse(text) as { params: { token: string } }).params.token === token);
      for (const answer of [refusal("no"), accepted(new Set(["read"]))]) isAnswer(answer);
    },
  );
});
