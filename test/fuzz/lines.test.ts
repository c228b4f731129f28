/** What is made of a line that holds several messages, or none: batches, salvage, lost answers. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as fc from "fast-check";
import { parseTree } from "jsonc-parser";
import { isBatch, readBatch } from "../../src/mcp/wire/batch.ts";
import { EnvelopeError, readEnvelope } from "../../src/mcp/wire/envelope.ts";
import { asText, salvage, withoutMark } from "../../src/mcp/wire/salvage.ts";
import { heardInstead, Unreadable } from "../../src/mcp/wire/unreadable.ts";
import { arrayText, asBytes, damaged, valueText } from "./helpers/json-texts.ts";
import { depthOf, messageText } from "./helpers/messages.ts";
import { assertLinear, property } from "./helpers/property.ts";

const batchText = arrayText(fc.array(fc.oneof({ weight: 6, arbitrary: messageText }, valueText), { maxLength: 4 }));

function faultOf(work: () => unknown): number | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof EnvelopeError) return thrown.fault;
    throw thrown;
  }
}

function readsBatchLikeItsParts(body: Buffer): void {
  const text = body.toString("utf8");
  let parts: unknown;
  try {
    parts = JSON.parse(text);
  } catch {
    if (isBatch(body))
      assert.equal(
        faultOf(() => readBatch(body)),
        -32700,
      );
    return;
  }
  assert.equal(isBatch(body), Array.isArray(parts));
  // The other reader overflows where ours refuses.
  if (!Array.isArray(parts) || depthOf(text) > 600) return;
  const { children = [] } = parseTree(text)!;
  const texts = children.map(({ offset, length }) => Buffer.from(text.slice(offset, offset + length)));
  const faults = texts.map((one) => faultOf(() => refuseInitialize(readEnvelope(one).method)));
  const fault = faultOf(() => readBatch(body));
  if (texts.length === 0) assert.equal(fault, -32600);
  // Deep nesting is found before the messages are looked at.
  else if (fault === -32700) assert.ok(faults.includes(-32700));
  else
    assert.equal(
      fault,
      faults.find((one) => one !== undefined),
    );
  if (fault !== undefined) return;
  const read = readBatch(body);
  assert.deepEqual(
    read.map((each) => each.body.toString()),
    texts.map(String),
  );
  for (const each of read) assert.deepEqual(each.envelope, readEnvelope(each.body));
}

function refuseInitialize(method: string): void {
  if (method === "initialize") throw new EnvelopeError(-32600, "stands alone");
}

const noiseText = fc
  .array(fc.oneof(fc.constantFrom("INFO ", "]", "[", ",", " ", "\t", '"', "\\", "}", "\u001b[1m"), fc.string()), {
    maxLength: 4,
  })
  .map((parts) => parts.join("").replaceAll("{", "("));
const lineOfMessages = fc.tuple(noiseText, fc.array(fc.tuple(messageText, noiseText), { maxLength: 4 }));
const isMessage = (text: string) => faultOf(() => readEnvelope(Buffer.from(text))) === undefined;

function isPartOf(line: Buffer, messages: readonly Buffer[]): void {
  let at = 0;
  for (const message of messages) {
    assert.equal(
      faultOf(() => readEnvelope(message)),
      undefined,
      "it is a message",
    );
    const start = line.indexOf(message, at);
    assert.ok(start >= at, "it is in the line, after the one before");
    at = start + message.length;
  }
}

const anyLine = asBytes(
  fc.oneof(
    damaged(messageText),
    fc.array(fc.oneof(damaged(messageText), messageText, noiseText), { maxLength: 3 }).map((parts) => parts.join("")),
  ),
);

describe("a batch", () => {
  property(
    "is read as JSON.parse reads it, and refused when one of its messages is",
    800,
    asBytes(fc.oneof({ weight: 4, arbitrary: batchText }, damaged(batchText))),
    readsBatchLikeItsParts,
  );
});

describe("a line that is no message", () => {
  property("gives back every whole message between noise", 500, lineOfMessages, ([before, parts]) => {
    const whole = parts.filter(([text]) => isMessage(text));
    const line = Buffer.from(before + whole.map(([text, noise]) => text + noise).join(""));
    const { messages, answer, request } = salvage(line);
    assert.deepEqual(
      messages.map(String),
      whole.map(([text]) => text.trim()),
    );
    assert.deepEqual([answer, request], [undefined, undefined]);
  });
  property("gives messages only, which are in it, and ids that its bytes have", 1500, anyLine, (line) => {
    const { messages, hasNoise, answer, request } = salvage(line);
    isPartOf(line, messages);
    if (!hasNoise) {
      const rest = messages.reduce(
        (text, message) => text.replace(message.toString("latin1"), ""),
        line.toString("latin1"),
      );
      assert.match(rest, /^[\0- ,[\]]*$/);
    }
    for (const id of [...(answer?.ids ?? []), ...(request === undefined ? [] : [request])])
      assert.ok(line.toString("latin1").includes(id), id);
    assert.ok(answer === undefined || request === undefined);
  });
  property(
    "ends in whole messages and calls that fail, never in an exception",
    500,
    fc.array(anyLine, { maxLength: 4 }),
    (lines) => {
      const open = new Set([1, 7, 42]);
      const logged: unknown[] = [];
      const unreadable = new Unreadable({
        server: "s",
        log: (...said) => void logged.push(said),
        runId: () => undefined,
        numbers: () => [...open],
        fail: (number) => void open.delete(number),
        send: (answer) =>
          assert.equal(
            typeof (JSON.parse(answer.toString()) as { error: { message: string } }).error.message,
            "string",
          ),
      });
      for (const line of lines) {
        const text = asText(withoutMark(line));
        unreadable.hear(text, "why", (message) => void readEnvelope(message));
        for (const heard of heardInstead(text, "why", "s", "7").lines) assert.ok(heard.length >= 0);
      }
      assert.ok(logged.length <= 1, "told once");
      assert.doesNotMatch(unreadable.dropped, /\p{Cc}/u);
    },
  );
  property(
    "is looked through in time in proportion to its length",
    40,
    fc.oneof(
      fc.constantFrom("{", '{"a":', "[{", '{"\\'),
      fc
        .array(
          fc.oneof(fc.constantFrom(...'{}[]",:\\'.split(""), '"id":1', '"jsonrpc":"2.0"', '"method":"m"'), messageText),
          {
            minLength: 1,
            maxLength: 4,
          },
        )
        .map((parts) => parts.join("")),
    ),
    (piece) =>
      assertLinear((bytes) => void salvage(Buffer.from(piece.repeat(Math.ceil(bytes / piece.length)))), 100_000, piece),
  );
});
