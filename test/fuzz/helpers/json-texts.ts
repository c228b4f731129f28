/** JSON as text, spelled in every way that JSON allows, and texts that are almost JSON. */
import * as fc from "fast-check";

/** Keys and words that mean something somewhere in Holdfast, so that they turn up in the wrong places too. */
const words =
  "jsonrpc 2.0 id method params result error _meta progressToken requestId task name uri requestState type x length " +
  "io.modelcontextprotocol/protocolVersion initialize __proto__ toString constructor";
export const word = fc.constantFrom("", ...words.split(" "));

const blank = fc.oneof(
  { weight: 6, arbitrary: fc.constant("") },
  { weight: 1, arbitrary: fc.constantFrom(" ", "\t", "\n", "\r\n", "  ") },
);

const plainUnit = fc.constantFrom(..."aZ09 é漢😀/\u007f\u0085\u2028\u2029{}[]:,'".match(/./gsu)!);
const escape = fc.oneof(
  fc.constantFrom(String.raw`\"`, String.raw`\\`, String.raw`\/`, String.raw`\b`, String.raw`\f`, String.raw`\n`),
  fc.constantFrom(String.raw`\r`, String.raw`\t`, String.raw`\u0000`, String.raw`\ud83d`, String.raw`\ude00`),
  fc.integer({ min: 0, max: 0xffff }).map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`),
);

function escapedSome(text: string, places: readonly number[]): string {
  return [...text.matchAll(/[^]/g)]
    .map(([unit], at) => (places.includes(at) ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}` : unit))
    .join("");
}

/** A string literal with this value, some of its units escaped. */
export function spelled(value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const places = fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(fc.nat(12), { maxLength: 3 }));
  return fc.tuple(value, places).map(([text, at]) => `"${escapedSome(text, at)}"`);
}

export const stringText = fc.oneof(
  spelled(word),
  fc.array(fc.oneof(plainUnit, escape), { maxLength: 8 }).map((parts) => `"${parts.join("")}"`),
);
export const numberText = fc.oneof(
  fc.constantFrom("0", "-0", "7", "-12", "3.25", "1e5", "1E-3", "-2.5e+10", "1e999", "9007199254740993", "1.50"),
  fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
);

function listText(open: string, items: string[], blanks: string[], close: string): string {
  const at = (index: number) => blanks[index % blanks.length] ?? "";
  return open + at(0) + items.map((item, index) => at(index) + item + at(index + 1)).join(",") + close;
}
const blanks = fc.array(blank, { minLength: 1, maxLength: 4 });

export function arrayText(items: fc.Arbitrary<string[]>): fc.Arbitrary<string> {
  return fc.tuple(items, blanks).map(([each, around]) => listText("[", each, around, "]"));
}

export type MemberTexts = [key: string, value: string][];

export function objectText(members: fc.Arbitrary<MemberTexts>): fc.Arbitrary<string> {
  const items = fc
    .tuple(members, blank, blank)
    .map(([each, before, after]) => each.map(([key, value]) => key + before + ":" + after + value));
  return fc.tuple(items, blanks).map(([each, around]) => listText("{", each, around, "}"));
}

/** Any JSON value. */
export const valueText: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    { weight: 4, arbitrary: fc.oneof(stringText, numberText, fc.constantFrom("true", "false", "null")) },
    { weight: 1, arbitrary: arrayText(fc.array(tie("value"), { maxLength: 4 })) },
    { weight: 2, arbitrary: objectText(fc.array(fc.tuple(stringText, tie("value")), { maxLength: 4 })) },
  ),
})).value;

const debris = fc.oneof(
  fc.constantFrom(..."\"{}[]:,\\0-+.eEtn\n\r\u0000\u0001é\uFEFF/*'".match(/./gsu)!),
  fc.constantFrom("null", "\\u12", "//x\n", "/**/", "\u00a0", "NaN", "1.", "01"),
  fc.string({ unit: "binary", maxLength: 2 }),
);

/** Text that is like the given, but for removed, repeated, replaced or inserted bits. */
export function damaged(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const harm = fc.record({ at: fc.nat(400), cut: fc.nat(3), put: fc.oneof(fc.constant(""), debris) });
  return fc.tuple(text, fc.array(harm, { minLength: 1, maxLength: 2 })).map(([whole, harms]) => {
    let harmed = whole;
    for (const { at, cut, put } of harms) {
      const from = at % (harmed.length + 1);
      harmed = harmed.slice(0, from) + put + harmed.slice(from + cut);
    }
    return harmed;
  });
}

/** A few bytes of the text are others, so that it may be no UTF-8. */
export function asBytes(text: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  const change = fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 }));
  const changes = fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(change, { minLength: 1, maxLength: 3 }) },
  );
  return fc.tuple(text, changes).map(([whole, each]) => {
    const bytes = Buffer.from(whole);
    for (const [at, byte] of each) if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes;
  });
}

/** Nested so deep that a recursive reader overflows. */
export const deepText = fc
  .tuple(fc.constantFrom<[string, string][]>(["[", "]"], ['{"a":', "}"]), fc.constantFrom(100, 600, 20_000))
  .map(([[open, close], depth]) => `${open.repeat(depth)}0${close.repeat(depth)}`);
