/**
 * Finds in one JSON-RPC message, without building it, what a relay needs: its kind, its method, and the spans of the
 * ids to rewrite. A span is a pair of byte offsets; start 0 means "absent" (a message begins with `{`).
 */
import { JsonCursor, JsonSyntaxError } from "./json.ts";

export type EnvelopeKind = "request" | "notification" | "response";

/** JSON-RPC 2.0 error codes of an invalid message. */
export type EnvelopeFault = -32700 | -32600;

export class EnvelopeError extends Error {
  override readonly name = "EnvelopeError";
  readonly fault: EnvelopeFault;
  constructor(fault: EnvelopeFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

export class Envelope {
  kind: EnvelopeKind = "notification";
  /** Decoded; empty for a response. */
  method = "";
  idStart = 0;
  idEnd = 0;
  /** `params._meta.progressToken`: lets the other side report progress on this request. */
  tokenStart = 0;
  tokenEnd = 0;
  /** `params.progressToken`: the request that this progress belongs to. */
  progressStart = 0;
  progressEnd = 0;
  /** `params.requestId`: the request that this cancels. */
  requestStart = 0;
  requestEnd = 0;
  /** `params.name` and `params.uri`, where they are strings, quotes included; used for routing. */
  nameStart = 0;
  nameEnd = 0;
  uriStart = 0;
  uriEnd = 0;
  /** `params.requestState` is present: the request continues an earlier one. */
  hasState = false;
  /** `params` where it is an object, from its brace on; `params._meta` likewise, with its end. */
  paramsStart = 0;
  /** `params` or `params._meta` is present but not an object. */
  hasOddParams = false;
  metaStart = 0;
  metaEnd = 0;
  /** The revision in a stateless request's `_meta`, quotes included. */
  versionStart = 0;
  versionEnd = 0;
  /** `result` where it is an object, from its brace on. */
  resultStart = 0;
  /** `params.task` is present: the request's progress token outlives its answer. */
  hasTask = false;
  hasError = false;
  /** The text has line breaks between tokens and must be flattened to become one line. */
  broken = false;
}

const quote = 0x22;
const objectOpen = 0x7b;
const objectClose = 0x7d;
const arrayOpen = 0x5b;
const comma = 0x2c;

/** Keys allowed once at most, since the two sides could read different duplicates. One bit each. */
const seen = { jsonrpc: 1, id: 2, method: 4, params: 8, result: 16, error: 32 };
const seenInParams = { _meta: 1, progressToken: 2, requestId: 4, task: 8, name: 16, uri: 32, requestState: 64 };
const seenInMeta = { progressToken: 1, "io.modelcontextprotocol/protocolVersion": 2 };
const versionBit = 2;

interface Key {
  bit: number;
  bytes: Buffer;
}
const keys = keysOf(seen);
const keysInParams = keysOf(seenInParams);
const keysInMeta = keysOf(seenInMeta);
const version = Buffer.from('"2.0"');

/** Reads one message. Throws `EnvelopeError`: -32700 for invalid JSON, -32600 for an invalid message or several. */
export function readEnvelope(bytes: Buffer): Envelope {
  const cursor = new JsonCursor(bytes);
  try {
    const envelope = new Envelope();
    const first = cursor.peek();
    if (first !== objectOpen) refuseOther(cursor, first);
    // Even after leading white space every span starts behind byte 0, since `{` comes first.
    const members = readMessage(cursor, bytes, envelope);
    cursor.finish();
    envelope.broken = cursor.broken;
    classify(envelope, members);
    return envelope;
  } catch (thrown) {
    // Invalid JSON is reported as such, even where its beginning alone would be refused.
    const syntax = thrown instanceof JsonSyntaxError ? thrown : syntaxError(bytes);
    throw syntax === undefined ? thrown : new EnvelopeError(-32700, `not JSON: ${syntax.message}`);
  }
}

function syntaxError(bytes: Buffer): JsonSyntaxError | undefined {
  const cursor = new JsonCursor(bytes);
  try {
    cursor.value();
    cursor.finish();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof JsonSyntaxError) return thrown;
    throw thrown;
  }
}

function refuseOther(cursor: JsonCursor, first: number): never {
  if (first === -1) cursor.fail("an empty message");
  const what =
    first === arrayOpen
      ? "batches belong to sessions of revision 2025-03-26: send one message at a time"
      : "not a JSON object";
  throw new EnvelopeError(-32600, what);
}

function readMessage(cursor: JsonCursor, bytes: Buffer, envelope: Envelope): number {
  return eachMember(cursor, bytes, keys, (bit, next) => {
    const start = cursor.at;
    if (bit === seen.params && next === objectOpen) readParams(cursor, bytes, envelope);
    else cursor.value();
    if (bit === seen.params && next !== objectOpen) envelope.hasOddParams = true;
    if (bit === seen.result && next === objectOpen) envelope.resultStart = start;
    if (bit === seen.id) readId(cursor, envelope, next, start);
    else if (bit === seen.method) envelope.method = readMethod(cursor, bytes, next, start);
    else if (bit === seen.jsonrpc && !isText(bytes, start, cursor.at, version)) refuse('"jsonrpc" must be "2.0"');
  });
}

function readParams(cursor: JsonCursor, bytes: Buffer, envelope: Envelope): void {
  envelope.paramsStart = cursor.at;
  eachMember(cursor, bytes, keysInParams, (bit, next) => {
    const start = cursor.at;
    if (bit === seenInParams._meta && next === objectOpen) readMeta(cursor, bytes, envelope);
    else cursor.value();
    if (bit === seenInParams._meta && next !== objectOpen) envelope.hasOddParams = true;
    if (bit === seenInParams.task) envelope.hasTask = true;
    else if (bit === seenInParams.requestState) envelope.hasState = true;
    else if (bit === seenInParams.name && next === quote) [envelope.nameStart, envelope.nameEnd] = [start, cursor.at];
    else if (bit === seenInParams.uri && next === quote) [envelope.uriStart, envelope.uriEnd] = [start, cursor.at];
    else if (!isIdStart(next)) return;
    else if (bit === seenInParams.progressToken) [envelope.progressStart, envelope.progressEnd] = [start, cursor.at];
    else if (bit === seenInParams.requestId) [envelope.requestStart, envelope.requestEnd] = [start, cursor.at];
  });
}

function readMeta(cursor: JsonCursor, bytes: Buffer, envelope: Envelope): void {
  envelope.metaStart = cursor.at;
  eachMember(cursor, bytes, keysInMeta, (bit, next) => {
    const start = cursor.at;
    cursor.value();
    if (bit === seenInMeta.progressToken && isIdStart(next))
      [envelope.tokenStart, envelope.tokenEnd] = [start, cursor.at];
    else if (bit === versionBit) [envelope.versionStart, envelope.versionEnd] = [start, cursor.at];
  });
  envelope.metaEnd = cursor.at;
}

/**
 * Walks an object, cursor on its brace. `take` gets each key's bit (0: an unknown key) with the cursor on the value,
 * which it must read. Returns the bits of all keys found.
 */
function eachMember(
  cursor: JsonCursor,
  bytes: Buffer,
  known: Key[],
  take: (bit: number, next: number) => void,
): number {
  let members = 0;
  cursor.at++;
  if (cursor.peek() === objectClose) {
    cursor.at++;
    return members;
  }
  for (;;) {
    if (cursor.peek() !== quote) cursor.fail("expected a key");
    const start = cursor.at;
    cursor.string();
    const bit = readKey(cursor, bytes, start + 1, cursor.at - 1, known);
    if ((members & bit) !== 0) refuse(`${bytes.toString("utf8", start, cursor.at)} is there twice`);
    members |= bit;
    cursor.expect(0x3a);
    take(bit, cursor.peek());
    if (cursor.peek() !== comma) break;
    cursor.at++;
  }
  cursor.expect(objectClose);
  return members;
}

/** Longest known key, with every letter as a six-byte escape. */
const keyBytesMax = 6 * "io.modelcontextprotocol/protocolVersion".length;

function readKey(cursor: JsonCursor, bytes: Buffer, start: number, end: number, known: Key[]): number {
  if (end - start > keyBytesMax) return 0;
  if (cursor.escaped) {
    const text = Buffer.from(JSON.parse(bytes.toString("utf8", start - 1, end + 1)) as string);
    return known.find((key) => key.bytes.equals(text))?.bit ?? 0;
  }
  for (const { bit, bytes: name } of known) if (isText(bytes, start, end, name)) return bit;
  return 0;
}

function isText(bytes: Buffer, start: number, end: number, text: Buffer): boolean {
  if (end - start !== text.length) return false;
  for (let at = 0; at < text.length; at++) if (bytes[start + at] !== text[at]) return false;
  return true;
}

function keysOf(bits: Record<string, number>): Key[] {
  return Object.entries(bits).map(([name, bit]) => ({ bit, bytes: Buffer.from(name) }));
}

function readId(cursor: JsonCursor, envelope: Envelope, next: number, start: number): void {
  // `null` is legal in an answer to a message with an unreadable id; it names no call.
  if (next === 0x6e) return;
  if (!isIdStart(next)) refuse('"id" must be a string or a number');
  [envelope.idStart, envelope.idEnd] = [start, cursor.at];
}

/** Whether the value is a string or a number, as ids and tokens are. */
function isIdStart(byte: number): boolean {
  return byte === quote || byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
}

function readMethod(cursor: JsonCursor, bytes: Buffer, next: number, start: number): string {
  if (next !== quote) refuse('"method" must be a string');
  // Some encoders write "notifications\/progress".
  if (cursor.escaped) return JSON.parse(bytes.toString("utf8", start, cursor.at)) as string;
  return bytes.toString("utf8", start + 1, cursor.at - 1);
}

function classify(envelope: Envelope, members: number): void {
  if ((members & seen.jsonrpc) === 0) refuse('"jsonrpc": "2.0" is missing');
  const outcome = members & (seen.result | seen.error);
  envelope.hasError = (outcome & seen.error) !== 0;
  const hasId = (members & seen.id) !== 0;
  if ((members & seen.method) !== 0) {
    if (outcome !== 0) refuse("a message has either a method or a result");
    if (hasId && envelope.idStart === 0) refuse('"id" must be a string or a number');
    envelope.kind = hasId ? "request" : "notification";
    return;
  }
  if (outcome === 0) refuse("neither a method nor a result");
  if (outcome === (seen.result | seen.error)) refuse("a response has either a result or an error");
  if (!hasId) refuse("a response without an id");
  envelope.kind = "response";
}

function refuse(message: string): never {
  throw new EnvelopeError(-32600, message);
}
