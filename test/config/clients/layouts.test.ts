/** Layouts that people and programs write, each by hand: what an edit leaves as it was, to the byte. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readDocument } from "../../../src/config/clients/document.ts";
import { replaceByGateway, restoreFromGateway } from "../../../src/config/clients/gateway-entry.ts";
import { changeServers } from "../../../src/config/clients/own-config.ts";
import { unwrapDocument } from "../../../src/config/clients/unwrap.ts";
import { wrapDocument } from "../../../src/config/clients/wrap.ts";

interface Layout {
  file: string;
  path: string[];
  /** `command` → `holdfast`, and `«…»` = what `wrap` puts in: so each text is its own expectation. */
  text: string;
}

const json = { file: "x.json", path: ["mcpServers"] };
const toml = { file: "config.toml", path: ["mcp_servers"] };
const crlf = (text: string) => text.replaceAll("\n", "\r\n");

const layouts: Record<string, Layout> = {
  "CRLF, a byte order mark and tabs": {
    ...json,
    text: crlf(
      '\uFEFF{\n\t"mcpServers": {\n\t\t"a": {\n\t\t\t"command": ‹"npx"›,\n\t\t\t"args": [\n\t\t\t\t«"run",\n\t\t\t\t"--",\n\t\t\t\t"npx",\n\t\t\t\t»"-y"\n\t\t\t]\n\t\t}\n\t}\n}\n',
    ),
  },
  "trailing commas and comments inside of everything": {
    ...json,
    text: `// top
{
  /* before */ "mcpServers": { // after {
    /* { "not": "this" } */
    "a": {
      "args": [ /* first */ «"run", "--", "npx", »"-y", /* "last", */ ], // args
      "command": /* which */ ‹"npx"›, /* end */
    },
  },
} // "bottom"`,
  },
  "JSON5 with one server on one line": {
    file: "openclaw.json",
    path: ["mcp", "servers"],
    text: "{ mcp: { servers: { 'a': { command: ‹'npx'›, args: [«\"run\", \"--\", 'npx', »'it\\'s', \"\\u0041\",], timeout: +.5, }, } } }\n",
  },
  "no args, the command last in its object": {
    ...json,
    text: '{"mcpServers":{"a":{\n  "env": {}, // none\n  "command": ‹"npx"›«,\n  "args": ["run", "--", "npx"]»\n}}}',
  },
  "comments that end as JSON5's lines do": {
    ...json,
    text: '{"mcpServers":{"a":{"env":{},"command"// ,\r:\r\n  ‹"npx"›«, "args":\r\n  ["run", "--", "npx"]»// ]\u2028}}}',
  },
  "TOML with CRLF, a byte order mark and nested comments": {
    ...toml,
    text: crlf(
      "\uFEFFmodel = 'x' # [mcp_servers.no]\n\n[mcp_servers.\"a b\"] # a\ncommand = ‹'npx'› # c\nargs = [ # [\n  «\"run\",\n  \"--\",\n  'npx',\n  »'''-y''', # ]\n]\n\n[[list]]\nx = 1\n",
    ),
  },
  "TOML inline tables and dotted keys": {
    ...toml,
    text: '[mcp_servers]\na = { command = ‹"npx"›, args = [«"run", "--", "npx", »"\\U0001F600"] }\nb.url = "https://example.com"\n',
  },
};

const untouched: Record<string, Layout> = {
  "an empty object": { ...json, text: '{ "mcpServers": { /* later */ } }' },
  "a list of servers": { ...json, text: '{ "mcpServers": [ { "command": "npx" } ] }' },
  "a TOML list of tables": { ...toml, text: '[[mcp_servers]]\ncommand = "npx"\n' },
  "a server of the same name elsewhere": {
    ...json,
    text: '{ "other": { "mcpServers": { "a": { "command": "npx" } } } }',
  },
  "an empty TOML file": { ...toml, text: "\uFEFF" },
};

/** The text before and after, of one with marks. */
function sides({ text }: Layout): { before: string; after: string } {
  const before = text.replaceAll(/«[^»]*»/g, "").replaceAll(/[‹›]/g, "");
  const after = text.replaceAll(/‹[^›]*›/g, '"holdfast"').replaceAll(/[«»]/g, "");
  return { before, after };
}

describe("wrap, in layouts by hand", () => {
  for (const [name, layout] of Object.entries(layouts))
    it(`${name}: changes command and args alone, and unwrap is its reverse`, () => {
      const { before, after } = sides(layout);
      const document = readDocument(layout.file, before, [layout.path]);
      assert.equal(wrapDocument(document, ["holdfast"]).after, after);
      const wrapped = readDocument(layout.file, after, [layout.path]);
      assert.equal(unwrapDocument(wrapped, [document]).after, before);
    });

  for (const [name, { file, path, text }] of Object.entries(untouched))
    it(`${name}: is left as it is`, () => {
      const { edits, after } = wrapDocument(readDocument(file, text, [path]), ["holdfast"]);
      assert.deepEqual([edits, after], [[], text]);
    });

  it("keys that are there twice, in every language, are refused by their line", () => {
    const twice: [Layout, RegExp][] = [
      [{ ...json, text: '{ "mcpServers": {\n "a": {}, "a": {} } }' }, /line 2: the key "a" is there twice/],
      [{ ...json, text: "{ mcpServers: { a: { command: 'x',\n 'command': 'y' } } }" }, /line 2: the key "command" is/],
      [{ ...toml, text: "[mcp_servers.a]\ncommand = 'x'\n[mcp_servers.a]\n" }, /line 3: /],
      [{ ...toml, text: "[mcp_servers.a]\ncommand = 'x'\ncommand = 'y'\n" }, /line 3: /],
    ];
    for (const [{ file, path, text }, said] of twice) assert.throws(() => readDocument(file, text, [path]), said, text);
  });
});

describe("the gateway's entry, in layouts by hand", () => {
  for (const [name, layout] of Object.entries(layouts))
    it(`${name}: replaces the server, and restoring gives the same bytes`, () => {
      const { before } = sides(layout);
      const { file, path } = layout;
      const document = readDocument(file, before, [path]);
      const isInline = name.includes("inline");
      const replace = () => replaceByGateway(document, ["holdfast", "mcp"], ({ node }) => node.members.length > 1);
      if (isInline) return assert.throws(replace, /is not written as a table of its own/);
      const { after } = replace();
      assert.notEqual(after, before);
      assert.equal(restoreFromGateway(readDocument(file, after, [path]), [document])?.after, before);
    });
});

describe("holdfast.json, in layouts by hand", () => {
  const change = (text: string, ...changes: [string, Record<string, unknown> | undefined][]) =>
    changeServers({ file: "holdfast.json", read: undefined, text, servers: {} }, changes);
  const server = { command: "sh" };
  const commented = `{
  // mine
  "mcpServers": {
    // about a
    "a": { "command": "sh" }, // first
    // about b
    "b": { "command": "sh" } // second
    // end
  }
}
`;

  it("a member that comes in leaves every other line and comment where it is", () => {
    assert.equal(
      change(commented, ["z", server]),
      commented.replace("} // second\n", '}, // second\n    "z": {\n      "command": "sh"\n    }\n'),
    );
    const trailing = '{\n\t"mcpServers": {\n\t\t"a": { "command": "sh" }, // first\n\t},\n}\n';
    assert.equal(
      change(trailing, ["z", server]),
      trailing.replace("// first\n", '// first\n\t\t"z": {\n\t\t\t"command": "sh"\n\t\t},\n'),
    );
    assert.equal(change(crlf(trailing), ["z", server]), crlf(change(trailing, ["z", server])));
    assert.equal(
      change('\uFEFF{ "port": 1 /* p */ }', ["z", server]),
      '\uFEFF{ "port": 1, "mcpServers": {"z":{"command":"sh"}} /* p */ }',
    );
    assert.equal(
      change('{\n  "mcpServers": {\n    // later\n  }\n}\n', ["z", server]),
      '{\n  "mcpServers": {\n    // later\n    "z": {\n      "command": "sh"\n    }\n  }\n}\n',
    );
  });

  it("a member that comes in behind a trailing comma leaves the comment before the comma to its own member", () => {
    const text = '{"mcpServers":{"a":{"command":"sh"} // first\n, // second\n}}';
    assert.equal(change(text, ["z", server]), text.replace(",", ', "z": {"command":"sh"},'));
    assert.equal(change(text, ["z", server], ["z", undefined]), text);
  });

  it("a member that goes takes its own line with it, and no other comment", () => {
    assert.equal(
      change(commented, ["a", undefined]),
      commented.replace('    "a": { "command": "sh" }, // first\n', ""),
    );
    assert.equal(
      change(commented, ["b", undefined]),
      commented.replace("}, // first", "} // first").replace('    "b": { "command": "sh" } // second\n', ""),
    );
    const trailing = '{\n  "mcpServers": {\n    "a": { "command": "sh" }, // only\n  },\n}\n';
    assert.equal(change(trailing, ["a", undefined]), '{\n  "mcpServers": {\n  },\n}\n');
    const inline = '{"mcpServers":{"a":{"command":"sh"},"b":{"command":"sh"}}}';
    assert.equal(change(inline, ["a", undefined]), '{"mcpServers":{"b":{"command":"sh"}}}');
    assert.equal(change(inline, ["b", undefined]), '{"mcpServers":{"a":{"command":"sh"}}}');
  });

  it("in and out again gives the same bytes", () => {
    for (const text of [
      commented,
      crlf(commented),
      commented.replaceAll("  ", "\t"),
      '\uFEFF{"mcpServers":{"a":{"command":"sh"}}}',
    ])
      assert.equal(change(text, ["z", server], ["z", undefined]), text);
  });
});
