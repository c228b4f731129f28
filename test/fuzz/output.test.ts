/** Output of programs: no control that is not meant gets through, wherever the output is cut. */
import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { describe } from "node:test";
import * as fc from "fast-check";
import { bytesOfKeys } from "../../src/runs/keys.ts";
import { HarmlessOutput } from "../../src/runs/harmless-output.ts";
import { PlainText, withoutEscapes } from "../../src/runs/text.ts";
import { HoldfastError } from "../../src/errors.ts";
import { plainJson, plainLine, plainText } from "../../src/plain-text.ts";
import { assertLinear, piecesOf, places, property } from "./helpers/property.ts";

const esc = "\u001b";
/** Matches these characters, and those between two. */
function anyOf(...codes: (number | [from: number, to: number])[]): RegExp {
  const written = (code: number) => String.raw`\u${code.toString(16).padStart(4, "0")}`;
  return new RegExp(`[${codes.map((code) => [code].flat().map(written).join("-")).join("")}]`, "u");
}
const parameters = fc
  .array(fc.oneof(fc.nat(300).map(String), fc.constantFrom("2147483647", "", ":", ";", "99999999999999999999")), {
    maxLength: 4,
  })
  .map((parts) => parts.join(";"));
const sequence = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(`${esc}[`, "\u009b"),
      fc.constantFrom("", "?", ">", "<", "="),
      parameters,
      fc.constantFrom("", " ", "$", "!", "'"),
      fc.integer({ min: 0x40, max: 0x7e }).map((code) => String.fromCharCode(code)),
    )
    .map((parts) => parts.join("")),
  fc
    .tuple(
      fc.constantFrom(`${esc}]`, `${esc}P`, `${esc}_`, `${esc}^`, `${esc}X`, "\u009d", "\u0090"),
      fc.constantFrom("0;title", "8;;http://x", "52;c;YQ==", "q"),
      fc.constantFrom("\u0007", `${esc}\\`, "\u009c", "", "\u0018"),
    )
    .map((parts) => parts.join("")),
  fc
    .tuple(
      fc.constant(esc),
      fc.constantFrom("", "(", "#", " "),
      fc.integer({ min: 0x30, max: 0x7e }).map((code) => String.fromCharCode(code)),
    )
    .map((parts) => parts.join("")),
  fc.constantFrom(
    esc,
    "\u009b",
    "\u0018",
    "\u001a",
    "\u007f",
    "\r\n",
    "\t",
    "\b",
    "\u000e",
    "\u0084",
    "\u008d",
    "\u0085",
  ),
);
const printed = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 6 }).map((text) => Buffer.from(text)),
      sequence.map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(Buffer.of(0xc2), Buffer.of(0xe2, 0x82), Buffer.of(0x9b)),
    ),
    { maxLength: 10 },
  )
  .map((parts) => Buffer.concat(parts));

function plainInPieces(bytes: Buffer, cuts: number[]): string {
  const plain = new PlainText();
  for (const piece of piecesOf(bytes, cuts)) plain.push(piece);
  return plain.read(true).text;
}

/** What a sequence may be when it reaches the emulator: no string, no report, counts within the screen. */
const allowed = new RegExp(String.raw`^${esc}(?:\[[<=>?]?[\d;:]*[ -/]*[@-su-~]|[ -/]+[0-~]|[0-OQ-WYZ\x60-~\\])`);
/** Ends an unfinished sequence, which would take what came in it along. */
const cancel = Buffer.of(0x18);
const size = { columns: 80, rows: 24 };
const largest = 65_535;

function assertHarmless(bytes: Buffer): void {
  const text = bytes.toString("latin1");
  assert.doesNotMatch(bytes.toString("utf8"), anyOf(0x18, 0x1a, 0x7f, [0x80, 0x9f]));
  for (let at = text.indexOf(esc); at !== -1; at = text.indexOf(esc, at + 1)) {
    const found = allowed.exec(text.slice(at, at + 400));
    assert.ok(found !== null, JSON.stringify(text.slice(at, at + 40)));
    for (const [digits] of found[0].matchAll(/\d+/g)) assert.ok(Number(digits) <= largest, found[0]);
    if (/^.\[[\d;]*[@A-FILMPSTXZ]/s.test(found[0]))
      for (const [digits] of found[0].matchAll(/\d+/g)) assert.ok(Number(digits) <= 80, found[0]);
  }
}

describe("output as text", () => {
  property(
    "has no escape sequence and no C1 control, and is the same wherever it is cut",
    1000,
    fc.tuple(printed, places),
    ([bytes, cuts]) => {
      const text = withoutEscapes(bytes);
      assert.doesNotMatch(text, anyOf(0x18, 0x1a, 0x1b, [0x80, 0x9f]));
      assert.equal(plainInPieces(bytes, cuts), text);
    },
  );
  property("read on from where it was left is the whole text", 600, fc.tuple(printed, places), ([bytes, cuts]) => {
    let text = "";
    let begun: Buffer = Buffer.alloc(0);
    const pieces = piecesOf(bytes, cuts);
    for (const [index, piece] of pieces.entries()) {
      const plain = new PlainText();
      begun = Buffer.concat([begun, piece]);
      plain.push(begun);
      const read = plain.read(index === pieces.length - 1);
      assert.ok(read.takenBytes >= 0 && read.takenBytes <= begun.length);
      text += read.text;
      begun = begun.subarray(read.takenBytes);
    }
    assert.equal(text, withoutEscapes(bytes));
  });
});

const sequences = fc.constantFrom(
  `${esc}[31m`,
  "\u009b1;2H",
  `${esc}]0;t\u0007`,
  `${esc}P1$q${esc}\\`,
  "\u009dx\u009c",
  `${esc}(B`,
  "\u0084",
  `${esc}c`,
);

describe("output between whole sequences", () => {
  property(
    "is all that is left of it",
    300,
    fc.array(fc.tuple(fc.constantFrom("a", "é", "€", "\n", "😀"), sequences), { maxLength: 6 }),
    (parts) => {
      const bytes = Buffer.from(parts.flat().join(""));
      assert.equal(withoutEscapes(bytes), parts.map(([text]) => text).join(""));
    },
  );
});

describe("output for the emulator", () => {
  property(
    "has harmless sequences only, the same wherever it is cut, and accounts for every byte",
    1000,
    fc.tuple(printed, places),
    ([bytes, cuts]) => {
      const drawn = (pieces: Buffer[]) => {
        const output = new HarmlessOutput(size);
        return pieces.flatMap((piece) => output.take(piece));
      };
      const [whole, cut] = [drawn([bytes]), drawn(piecesOf(bytes, cuts))];
      const harmless = Buffer.concat(whole.map((slice) => slice.bytes));
      assert.deepEqual(Buffer.concat(cut.map((slice) => slice.bytes)).toString("latin1"), harmless.toString("latin1"));
      for (const slices of [whole, cut])
        assert.equal(
          slices.reduce((sum, { inputBytes }) => sum + inputBytes, 0),
          bytes.length,
        );
      assertHarmless(harmless);
      // What is left out may join bytes that are no characters.
      if (isUtf8(bytes))
        assert.equal(withoutEscapes(harmless), withoutEscapes(Buffer.concat([bytes, cancel])).replaceAll("\u007f", ""));
    },
  );
  property(
    "costs time in proportion to its length",
    10,
    printed.filter((bytes) => bytes.length > 0),
    (bytes) => {
      assertLinear(
        (length) => {
          const all = Buffer.concat([Buffer.alloc(length, "x"), Buffer.alloc(length, bytes)]);
          withoutEscapes(all);
          new HarmlessOutput(size).take(all);
        },
        10_000,
        JSON.stringify(bytes.toString("latin1")),
      );
    },
  );
});

describe("text of others for a person's terminal", () => {
  property(
    "has no control and no change of direction",
    800,
    fc.oneof(
      fc.string({ unit: "binary" }),
      printed.map(String),
      fc.constantFrom("a\u202eb", "\u2066", "\u200f\r\n", "\r", "a\rb"),
    ),
    (text) => {
      const odd = anyOf(
        [0, 8],
        [0x0b, 0x0c],
        [0x0e, 0x1f],
        [0x7f, 0x9f],
        [0x200e, 0x200f],
        [0x202a, 0x202e],
        [0x2066, 0x2069],
      );
      assert.doesNotMatch(plainText(text), odd);
      assert.doesNotMatch(plainText(text), /\r(?!\n|$)/);
      assert.doesNotMatch(plainLine(text), /[\r\n]/);
      const json = plainJson(JSON.stringify({ [text]: text }));
      assert.doesNotMatch(json, odd);
      assert.deepEqual(JSON.parse(json), { [text]: text });
    },
  );
});

describe("keys", () => {
  const key = fc.oneof(
    fc.string({ maxLength: 4 }),
    fc
      .tuple(
        fc.constantFrom("C-", "M-", "Ctrl+", "Alt-", "^", ""),
        fc.oneof(fc.string({ maxLength: 2 }), fc.constantFrom("a", "Up", "F5", "space", "?", "enter")),
      )
      .map((parts) => parts.join("")),
  );
  property(
    "are bytes, or refused by name",
    500,
    fc.tuple(fc.array(key, { maxLength: 4 }), fc.boolean()),
    ([keys, mode]) => {
      try {
        const bytes = bytesOfKeys(keys, mode);
        assert.equal(bytes, keys.map((each) => bytesOfKeys([each], mode)).join(""));
        assert.ok(keys.length === 0 || bytes !== "");
      } catch (thrown) {
        assert.ok(thrown instanceof HoldfastError && thrown.code === "keys_invalid", String(thrown));
      }
    },
  );
});
