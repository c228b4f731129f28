/** The envelope reader against `JSON.parse` (what is JSON) and jsonc-parser (where its parts are). */
import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { describe } from "node:test";
import * as fc from "fast-check";
import { parseTree, type Node, type ParseError } from "jsonc-parser";
import { EnvelopeError, readEnvelope, type Envelope } from "../../src/mcp/wire/envelope.ts";
import { flatten, splice, spliceText } from "../../src/mcp/wire/splice.ts";
import { asBytes, damaged, deepText } from "./helpers/json-texts.ts";
import { depthOf, messageText } from "./helpers/messages.ts";
import { assertLinear, property } from "./helpers/property.ts";

/** A difference that is meant: deeper JSON is refused, since many servers parse recursively. */
const depthMax = 512;

type Outcome = { envelope: Envelope } | { fault: number };

function outcomeOf(bytes: Buffer): Outcome {
  try {
    return { envelope: readEnvelope(bytes) };
  } catch (thrown) {
    if (thrown instanceof EnvelopeError) return { fault: thrown.fault };
    throw thrown;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The one member of this name; "twice" if there are several. */
function only(node: Node | undefined, name: string): Node | "twice" | undefined {
  if (node?.type !== "object") return undefined;
  const named = (node.children ?? []).filter(({ children }) => children?.[0]?.value === name);
  return named.length > 1 ? "twice" : named[0]?.children?.[1];
}

const topKeys = ["jsonrpc", "id", "method", "params", "result", "error"];
const paramKeys = ["_meta", "progressToken", "requestId", "task", "name", "uri", "requestState"];
const metaKeys = ["progressToken", "io.modelcontextprotocol/protocolVersion"];

/** The same by another way: undefined where the message is to be refused with -32600. */
function expected(text: string, root: Node | undefined): Map<string, unknown> | undefined {
  if (root?.type !== "object") return undefined;
  const members = (node: Node | undefined, keys: string[]) => new Map(keys.map((key) => [key, only(node, key)]));
  const top = members(root, topKeys);
  const params = members(top.get("params") as Node | undefined, paramKeys);
  const meta = members(params.get("_meta") as Node | undefined, metaKeys);
  if ([...top.values(), ...params.values(), ...meta.values()].includes("twice")) return undefined;
  const written = (node: Node | "twice" | undefined) =>
    node === undefined || node === "twice" ? undefined : text.slice(node.offset, node.offset + node.length);
  const typed = (from: Map<string, Node | "twice" | undefined>, key: string, ...types: string[]) => {
    const node = from.get(key);
    return node !== undefined && node !== "twice" && types.includes(node.type) ? written(node) : undefined;
  };
  const has = (key: string) => top.get(key) !== undefined;
  const id = typed(top, "id", "string", "number");
  if (written(top.get("jsonrpc")) !== '"2.0"') return undefined;
  if (has("id") && id === undefined && (has("method") || typed(top, "id", "null") === undefined)) return undefined;
  if (has("method") ? has("result") || has("error") : has("result") === has("error") || !has("id")) return undefined;
  if (has("method") && typed(top, "method", "string") === undefined) return undefined;
  const isOdd = (node: Node | "twice" | undefined) => typeof node === "object" && node.type !== "object";
  return new Map<string, unknown>([
    ["kind", has("method") ? (has("id") ? "request" : "notification") : "response"],
    ["method", has("method") ? (JSON.parse(typed(top, "method", "string")!) as string) : ""],
    ["id", id],
    ["token", typed(meta, "progressToken", "string", "number")],
    ["version", written(meta.get(metaKeys[1]!))],
    ["progress", typed(params, "progressToken", "string", "number")],
    ["request", typed(params, "requestId", "string", "number")],
    ["name", typed(params, "name", "string")],
    ["uri", typed(params, "uri", "string")],
    ["meta", typed(params, "_meta", "object")],
    [
      "paramsStart",
      (top.get("params") as Node | undefined)?.type === "object" ? (top.get("params") as Node).offset : 0,
    ],
    [
      "resultStart",
      (top.get("result") as Node | undefined)?.type === "object" ? (top.get("result") as Node).offset : 0,
    ],
    ["hasTask", params.get("task") !== undefined],
    ["hasState", params.get("requestState") !== undefined],
    ["hasError", has("error")],
    ["hasOddParams", isOdd(top.get("params")) || isOdd(params.get("_meta"))],
    ["broken", /[\r\n]/.test(text)],
  ]);
}

function found(bytes: Buffer, envelope: Envelope): Map<string, unknown> {
  const span = (start: number, end: number) => (start === 0 ? undefined : bytes.toString("utf8", start, end));
  const offset = (at: number) => bytes.toString("utf8", 0, at).length;
  const { kind, method, hasTask, hasState, hasError, hasOddParams, broken } = envelope;
  return new Map<string, unknown>([
    ["kind", kind],
    ["method", method],
    ["id", span(envelope.idStart, envelope.idEnd)],
    ["token", span(envelope.tokenStart, envelope.tokenEnd)],
    ["version", span(envelope.versionStart, envelope.versionEnd)],
    ["progress", span(envelope.progressStart, envelope.progressEnd)],
    ["request", span(envelope.requestStart, envelope.requestEnd)],
    ["name", span(envelope.nameStart, envelope.nameEnd)],
    ["uri", span(envelope.uriStart, envelope.uriEnd)],
    ["meta", span(envelope.metaStart, envelope.metaEnd)],
    ["paramsStart", offset(envelope.paramsStart)],
    ["resultStart", offset(envelope.resultStart)],
    ["hasTask", hasTask],
    ["hasState", hasState],
    ["hasError", hasError],
    ["hasOddParams", hasOddParams],
    ["broken", broken],
  ]);
}

function agrees(bytes: Buffer): void {
  const text = bytes.toString("utf8");
  const outcome = outcomeOf(bytes);
  if (!isJson(text)) return assert.deepEqual(outcome, { fault: -32700 });
  const depth = depthOf(text);
  // The message itself, its `params` and their `_meta` are walked apart.
  if (depth > depthMax + 3) return assert.deepEqual(outcome, { fault: -32700 });
  if (depth > depthMax && "fault" in outcome && outcome.fault === -32700) return;
  const errors: ParseError[] = [];
  const wanted = expected(text, parseTree(text, errors, { disallowComments: true, allowTrailingComma: false }));
  assert.deepEqual(errors, []);
  if (wanted === undefined) return assert.deepEqual(outcome, { fault: -32600 });
  assert.ok("envelope" in outcome, `refused with ${"fault" in outcome ? outcome.fault : ""}`);
  const got = found(bytes, outcome.envelope);
  // Bytes that are no UTF-8 become longer as text, so offsets differ.
  if (!isUtf8(bytes)) for (const name of ["paramsStart", "resultStart"]) wanted.set(name, got.get(name));
  assert.deepEqual(got, wanted);
}

interface Parsed {
  id?: unknown;
  params?: { _meta?: { progressToken?: unknown }; progressToken?: unknown; requestId?: unknown };
}

function splicesCleanly(text: string): void {
  const bytes = Buffer.from(text);
  const outcome = outcomeOf(bytes);
  if ("fault" in outcome) return;
  const { idStart, idEnd, tokenStart, tokenEnd, requestStart, requestEnd, progressStart, progressEnd } =
    outcome.envelope;
  const spans = [
    [idStart, idEnd, "7"],
    [tokenStart, tokenEnd, '"\\u00e9"'],
    [requestStart, requestEnd, "123456789"],
    [progressStart, progressEnd, '""'],
  ] as const;
  const edits = spans.filter(([start]) => start > 0).map(([start, end, put]) => ({ start, end, text: put }));
  const wanted = JSON.parse(text) as Parsed;
  if (idStart > 0) wanted.id = 7;
  if (tokenStart > 0) wanted.params!._meta!.progressToken = "é";
  if (requestStart > 0) wanted.params!.requestId = 123_456_789;
  if (progressStart > 0) wanted.params!.progressToken = "";
  const spliced = splice(bytes, edits, "head", "tail").toString("utf8");
  assert.deepEqual(JSON.parse(spliced.slice("head".length, -"tail".length)), wanted);
  assert.equal(Buffer.from(spliceText(bytes, edits), "latin1").toString("utf8"), spliced.slice(4, -4));
  assert.deepEqual(JSON.parse(flatten(Buffer.from(bytes)).toString()), JSON.parse(text));
}

describe("the envelope reader", () => {
  property("agrees with JSON.parse and jsonc-parser on messages", 800, asBytes(messageText), agrees);
  property("agrees with them on damaged messages", 1000, asBytes(damaged(messageText)), agrees);
  property(
    "agrees with them on any bytes",
    400,
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    agrees,
  );
  property(
    "agrees with them on deep nesting",
    20,
    deepText.map((text) => Buffer.from(`{"jsonrpc":"2.0","id":1,"result":${text}}`)),
    agrees,
  );
  property("gives spans that can be replaced without a change elsewhere", 500, messageText, splicesCleanly);
  property(
    "takes time in proportion to a message's length",
    15,
    fc.oneof(messageText, fc.string({ unit: "binary", maxLength: 6 })).filter((piece) => piece !== ""),
    (piece) =>
      assertLinear(
        (bytes) => {
          const body = piece.repeat(Math.ceil(bytes / piece.length));
          for (const text of [body, `{"a":${JSON.stringify(body)}}`]) outcomeOf(Buffer.from(text));
        },
        20_000,
        piece,
      ),
  );
});
