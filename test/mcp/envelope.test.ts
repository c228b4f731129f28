/** The scanner accepts exactly what JSON.parse accepts, finds the same members, and its spans are byte-exact. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EnvelopeError, readEnvelope, type Envelope } from "../../src/mcp/wire/envelope.ts";
import { flatten, splice, spliceText } from "../../src/mcp/wire/splice.ts";
import { Random } from "./helpers/random.ts";
import { brokenText, randomMessage } from "./helpers/random-json.ts";

const read = (text: string) => readEnvelope(Buffer.from(text));
const span = (text: string, start: number, end: number) => Buffer.from(text).toString("utf8", start, end);
const idOf = (text: string) => {
  const { idStart, idEnd } = read(text);
  return span(text, idStart, idEnd);
};

function faultOf(text: string | Buffer): number | undefined {
  try {
    readEnvelope(Buffer.from(text));
    return undefined;
  } catch (error) {
    assert.ok(error instanceof EnvelopeError, String(error));
    return error.fault;
  }
}

describe("envelope", () => {
  it("tells requests, notifications and responses apart", () => {
    const kinds: [string, Envelope["kind"]][] = [
      ['{"jsonrpc":"2.0","id":1,"method":"a"}', "request"],
      ['{"jsonrpc":"2.0","method":"a"}', "notification"],
      ['{"jsonrpc":"2.0","id":1,"result":{}}', "response"],
      ['{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}', "response"],
    ];
    for (const [text, kind] of kinds) assert.equal(read(text).kind, kind, text);
  });

  it("keeps ids as they were written: big, negative, with fraction or exponent, text with escapes and beyond ASCII", () => {
    for (const id of [
      "0",
      "-7",
      "9007199254740993",
      "123456789012345678901234567890",
      "1.50",
      "1e3",
      '""',
      '"a\\u0062\\""',
      '"ключ"',
      '"\\ud83d\\ude00"',
    ]) {
      assert.equal(idOf(`{"jsonrpc":"2.0","id":${id},"method":"m"}`), id);
      assert.equal(idOf(`{ "jsonrpc" : "2.0" , "method" : "m" , "id" : ${id} }`), id);
    }
  });

  it("finds keys that are written with escapes, and methods with escaped slashes", () => {
    assert.equal(idOf('{"jsonrpc":"2.0","i\\u0064":42,"method":"m"}'), "42");
    assert.equal(read('{"jsonrpc":"2.0","method":"notifications\\/progress"}').method, "notifications/progress");
    const text = '{"jsonrpc":"2.0","id":1,"method":"m","par\\u0061ms":{"\\u005fmeta":{"progress\\u0054oken":"t"}}}';
    const { tokenStart, tokenEnd } = read(text);
    assert.equal(span(text, tokenStart, tokenEnd), '"t"');
  });

  it("is not fooled by the same keys elsewhere in the message", () => {
    const text =
      '{"jsonrpc":"2.0","params":{"id":9,"arguments":{"_meta":{"progressToken":8},"requestId":7},"x":[{"id":1,"method":"no"}]},"id":5,"method":"m"}';
    const envelope = read(text);
    assert.equal(span(text, envelope.idStart, envelope.idEnd), "5");
    assert.equal(envelope.method, "m");
    assert.deepEqual([envelope.tokenStart, envelope.requestStart, envelope.progressStart], [0, 0, 0]);
  });

  it("finds tokens, request ids and tasks in params, and only where they are strings or numbers", () => {
    const text =
      '{"jsonrpc":"2.0","method":"m","params":{"progressToken":"p","requestId":3,"task":{},"_meta":{"x":1,"progressToken":4}}}';
    const found = read(text);
    assert.equal(span(text, found.progressStart, found.progressEnd), '"p"');
    assert.equal(span(text, found.requestStart, found.requestEnd), "3");
    assert.equal(span(text, found.tokenStart, found.tokenEnd), "4");
    assert.equal(found.hasTask, true);
    const odd = read(
      '{"jsonrpc":"2.0","method":"m","params":{"progressToken":{},"requestId":null,"_meta":{"progressToken":[1]}}}',
    );
    assert.deepEqual([odd.progressStart, odd.requestStart, odd.tokenStart], [0, 0, 0]);
  });

  it("refuses a key that is there twice, however it is spelled: two readers could differ", () => {
    for (const text of [
      '{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}',
      '{"jsonrpc":"2.0","id":1,"i\\u0064":2,"method":"m"}',
      '{"jsonrpc":"2.0","id":1,"method":"m","method":"n"}',
      '{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{},"_meta":{}}}',
      '{"jsonrpc":"2.0","method":"m","params":{"requestId":1,"requestId":2}}',
      '{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1,"progressToken":2}}}',
    ]) {
      assert.equal(faultOf(text), -32600, text);
    }
  });

  it("refuses what is JSON but no single JSON-RPC 2.0 message with -32600", () => {
    for (const text of [
      "[]",
      '[{"jsonrpc":"2.0","id":1,"method":"m"}]',
      "1",
      '"x"',
      "null",
      "{}",
      '{"id":1,"method":"m"}',
      '{"jsonrpc":"1.0","id":1,"method":"m"}',
      '{"jsonrpc":2.0,"id":1,"method":"m"}',
      '{"jsonrpc":"2.0","id":null,"method":"m"}',
      '{"jsonrpc":"2.0","id":{},"method":"m"}',
      '{"jsonrpc":"2.0","id":true,"method":"m"}',
      '{"jsonrpc":"2.0","id":1,"method":5}',
      '{"jsonrpc":"2.0","id":1}',
      '{"jsonrpc":"2.0","result":1}',
      '{"jsonrpc":"2.0","id":1,"result":1,"error":{}}',
      '{"jsonrpc":"2.0","id":1,"method":"m","result":1}',
    ]) {
      assert.equal(faultOf(text), -32600, text);
    }
  });

  it("refuses what is not JSON with -32700", () => {
    for (const text of [
      "",
      " ",
      "{",
      '{"jsonrpc":"2.0","id":1,"method":"m"',
      '{"jsonrpc":"2.0","id":1,"method":"m"}}',
      '{"jsonrpc":"2.0","id":01,"method":"m"}',
      '{"jsonrpc":"2.0","id":1,"method":"m",}',
      '{"jsonrpc":"2.0","id":1,"method":"a\nb"}',
      '{"jsonrpc":"2.0","id":1 "method":"m"}',
      "{'jsonrpc':'2.0'}",
      '\u{feff}{"jsonrpc":"2.0","id":1,"method":"m"}',
      '{"jsonrpc":"2.0","id":1,"method":"\\x"}',
      '{"jsonrpc":"2.0","id":+1,"method":"m"}',
      '{"jsonrpc":"2.0","id":1.,"method":"m"}',
      '{"jsonrpc":"2.0","id":1,"method":"m","params":NaN}',
      "[1,]",
      "tru",
    ]) {
      assert.equal(faultOf(text), -32700, text);
    }
  });

  it("refuses nesting that would overflow a recursive parser behind us, without overflowing itself", () => {
    const nested = (depth: number) =>
      `{"jsonrpc":"2.0","id":1,"method":"m","params":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    assert.equal(faultOf(nested(500)), undefined);
    assert.throws(() => read(nested(1_000_000)), /nested deeper than 512/);
  });

  it("sees line breaks between tokens, and flattening makes one line with the same meaning", () => {
    const value = { jsonrpc: "2.0", id: 1, method: "m", params: { text: "a\nb", list: [1, 2] } };
    for (const pretty of [JSON.stringify(value, null, 2), JSON.stringify(value, null, 2).replaceAll("\n", "\r\n")]) {
      const bytes = Buffer.from(pretty);
      assert.equal(readEnvelope(bytes).broken, true);
      const line = flatten(bytes).toString();
      assert.doesNotMatch(line, /[\r\n]/);
      assert.deepEqual(JSON.parse(line), value);
    }
    assert.equal(read(JSON.stringify(value)).broken, false);
  });

  it("agrees with JSON.parse on random messages: members, spans, and a splice that changes nothing else", () => {
    const random = new Random(20_261_121);
    for (let round = 0; round < 3000; round++) {
      const text = randomMessage(random);
      const value = JSON.parse(text) as {
        id?: unknown;
        method?: string;
        params?: { _meta?: { progressToken?: unknown } };
      };
      const bytes = Buffer.from(text);
      const envelope = readEnvelope(bytes);
      const at = `round ${round}: ${text}`;
      assert.equal(envelope.method, value.method ?? "", at);
      assert.deepEqual(
        envelope.idStart > 0 ? JSON.parse(span(text, envelope.idStart, envelope.idEnd)) : undefined,
        value.id,
        at,
      );
      const token = value.params?._meta?.progressToken;
      assert.deepEqual(
        envelope.tokenStart > 0 ? JSON.parse(span(text, envelope.tokenStart, envelope.tokenEnd)) : undefined,
        token,
        at,
      );
      if (envelope.idStart === 0) continue;
      const edits = [{ start: envelope.idStart, end: envelope.idEnd, text: "123456789" }];
      if (token !== undefined) edits.unshift({ start: envelope.tokenStart, end: envelope.tokenEnd, text: "77" });
      if (token !== undefined && value.params?._meta !== undefined) value.params._meta.progressToken = 77;
      const spliced = splice(bytes, edits);
      assert.deepEqual(JSON.parse(spliced.toString()), { ...value, id: 123_456_789 }, at);
      assert.equal(spliceText(bytes, edits), spliced.toString("latin1"), at);
    }
  });

  it("agrees with JSON.parse on what is no JSON: random damage to random messages", () => {
    const random = new Random(4653);
    let refused = 0;
    for (let round = 0; round < 6000; round++) {
      const text = brokenText(random, randomMessage(random));
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      const fault = faultOf(text);
      if (!isJson) refused++;
      assert.equal(fault === -32700, !isJson, `round ${round}, fault ${fault}: ${text}`);
    }
    assert.ok(refused > 1000, "the damage must mostly be damage");
  });
});
