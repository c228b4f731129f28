/** Property lists hold any text that XML can hold, and refuse the rest. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { propertyList } from "../../../src/platform/darwin/plist.ts";

/** What an XML parser makes of character data and references. */
function unescape(text: string): string {
  const names: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", "#13": "\r" };
  return text.replaceAll(/&([^;]+);/g, (_, name: string) => names[name] ?? assert.fail(`unknown reference ${name}`));
}

it("escapes everything that means something in XML", () => {
  const text = `</string><key>x</key>&amp; "quoted" 'single' ]]> <!-- \r\n\t é 🙂`;
  const written = propertyList({ [text]: [text] });
  const [, key = "", value = ""] =
    /<dict><key>([^]*)<\/key><array><string>([^]*)<\/string><\/array><\/dict>/.exec(written) ?? [];
  assert.doesNotMatch(`${key}${value}`, /[<>"'\r]/);
  assert.equal(unescape(key), text);
  assert.equal(unescape(value), text);
});

it("writes each kind of value by its element", () => {
  const written = propertyList({ a: true, b: false, c: 10, d: "", e: [1, "x"], f: { g: [] } });
  const expected =
    "<dict><key>a</key><true/><key>b</key><false/><key>c</key><integer>10</integer><key>d</key><string></string>" +
    "<key>e</key><array><integer>1</integer><string>x</string></array><key>f</key><dict><key>g</key><array></array></dict></dict>";
  assert.ok(written.includes(expected), written);
  assert.match(written, /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<!DOCTYPE plist PUBLIC/);
});

for (const [name, text] of Object.entries({
  "a zero byte": "a\0b",
  "an escape": "\u001b[0m",
  "half a surrogate pair": "\ud800",
  "a noncharacter": "\uffff",
}))
  it(`refuses ${name}, which XML cannot hold even as a reference`, () => {
    assert.throws(() => propertyList({ Label: text }), /control characters/);
  });

it("refuses numbers that are not whole", () => {
  assert.throws(() => propertyList({ x: 1.5 }), /whole numbers/);
});
