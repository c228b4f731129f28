/**
 * Recovers the useful part of an invalid line: whole messages beside other text, and the ids of a broken answer or
 * question. Each byte is examined a few times at most.
 */
import { isUtf8 } from "node:buffer";
import { EnvelopeError, readEnvelope } from "./envelope.ts";
import { JsonCursor, JsonSyntaxError } from "./json.ts";

/** Messages recovered from one line. */
const messagesMax = 64;
/** Limit of the search: this many times the line's length, plus a constant. */
const looksMax = 4;
const lookBytesMin = 64 * 1024;
/** Ids remembered of one broken message. */
const idsMax = 8;
/** Longer keys and ids are irrelevant. */
const wordBytesMax = 64;

const quote = 0x22;
const backslash = 0x5c;
const objectOpen = 0x7b;
const objectClose = 0x7d;
const arrayOpen = 0x5b;
const arrayClose = 0x5d;
const comma = 0x2c;
const colon = 0x3a;

export interface Salvaged {
  /** Whole messages, in order. */
  messages: Buffer[];
  /** There is other text, too. */
  hasNoise: boolean;
  /** A broken answer; `ids` as written in it. */
  answer: { ids: string[] } | undefined;
  /** A broken request, with this id. */
  request: string | undefined;
}

export function salvage(line: Buffer): Salvaged {
  const found: Salvaged = { messages: [], hasNoise: false, answer: undefined, request: undefined };
  let at = 0;
  let lookBytes = looksMax * line.length + lookBytesMin;
  while (lookBytes > 0 && found.messages.length < messagesMax) {
    const start = line.indexOf(objectOpen, at);
    if (start === -1) break;
    found.hasNoise ||= holdsText(line, at, start);
    const end = messageEnd(line, start);
    if (end !== undefined) {
      found.messages.push(line.subarray(start, end));
      at = end;
      continue;
    }
    found.hasNoise = true;
    lookBytes -= 2 * (line.length - start);
    const broken = skim(line, start);
    // Messages inside a broken one are parts of it.
    if (isMessage(broken)) return { ...found, ...described(broken) };
    at = start + 1;
  }
  found.hasNoise ||= holdsText(line, at, line.length);
  return found;
}

/** Where the JSON-RPC message that begins here ends. */
function messageEnd(line: Buffer, start: number): number | undefined {
  const cursor = new JsonCursor(line, start);
  try {
    cursor.value();
    const end = cursor.at;
    readEnvelope(line.subarray(start, end));
    return end;
  } catch (thrown) {
    if (thrown instanceof JsonSyntaxError || thrown instanceof EnvelopeError) return undefined;
    throw thrown;
  }
}

/** Commas and brackets between messages are a batch. */
function holdsText(line: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = line[at]!;
    if (byte > 0x20 && byte !== comma && byte !== arrayOpen && byte !== arrayClose) return true;
  }
  return false;
}

interface Skimmed {
  keys: Set<string>;
  ids: string[];
}

/** The members of an object with invalid JSON: control bytes, any depth, a missing end. */
function skim(line: Buffer, start: number): Skimmed {
  const skimmed: Skimmed = { keys: new Set(), ids: [] };
  let [depth, key, isKeyNext] = [0, "", false];
  for (let at = start; at < line.length; at++) {
    const byte = line[at]!;
    if (byte === quote) {
      const end = stringEnd(line, at);
      const isShort = end - at <= wordBytesMax;
      if (depth === 1 && isKeyNext) {
        key = isShort ? line.toString("latin1", at + 1, end) : "";
        isKeyNext = false;
      } else if (depth === 1 && isShort) noteValue(skimmed, key, line.toString("latin1", at, end + 1));
      at = end;
    } else if (byte === objectOpen || byte === arrayOpen) {
      if (++depth === 1) isKeyNext = true;
    } else if (byte === objectClose || byte === arrayClose) {
      if (--depth === 0) break;
    } else if (depth !== 1) continue;
    else if (byte === comma) [key, isKeyNext] = ["", true];
    else if (byte === colon) skimmed.keys.add(key);
    else if (key === "id" && (byte === 0x2d || (byte >= 0x30 && byte <= 0x39))) {
      const number = /^[-+.\deE]*/.exec(line.toString("latin1", at, at + wordBytesMax))?.[0] ?? "";
      noteValue(skimmed, key, number);
      at += number.length - 1;
    }
  }
  return skimmed;
}

/** Ids become part of an answer, so a cut or invalid one is none. */
function noteValue({ ids }: Skimmed, key: string, value: string): void {
  if (key === "id" && ids.length < idsMax && !ids.includes(value) && isScalar(value)) ids.push(value);
}

function isScalar(value: string): boolean {
  const bytes = Buffer.from(value, "latin1");
  const cursor = new JsonCursor(bytes);
  try {
    cursor.scalar(bytes[0] ?? 0);
    cursor.finish();
    return true;
  } catch (thrown) {
    if (thrown instanceof JsonSyntaxError) return false;
    throw thrown;
  }
}

/** Of the closing quote, or of the end of the line. */
function stringEnd(line: Buffer, start: number): number {
  let at = start + 1;
  while (at < line.length && line[at] !== quote) at += line[at] === backslash ? 2 : 1;
  return Math.min(at, line.length);
}

/** A log line may be an object, too. */
function isMessage({ keys, ids }: Skimmed): boolean {
  return keys.has("jsonrpc") || (ids.length > 0 && (keys.has("result") || keys.has("error")));
}

function described({ keys, ids }: Skimmed): Pick<Salvaged, "answer" | "request"> {
  if (keys.has("method")) return { answer: undefined, request: ids.length === 1 ? ids[0] : undefined };
  return { answer: { ids }, request: undefined };
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** Removes the byte order mark that some programs write and JSON forbids. */
export function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes.subarray(0, 3).equals(byteOrderMark) ? bytes.subarray(3) : bytes;
}

/** The line as valid UTF-8: invalid bytes become U+FFFD, as in most readers. */
export function asText(line: Buffer): Buffer {
  const bare = withoutMark(line);
  return isUtf8(bare) ? bare : Buffer.from(bare.toString("utf8"));
}
