/** Config files of other programs: read as other readers read them, and given back byte for byte. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as fc from "fast-check";
import json5 from "json5";
import { parse as parseToml, TomlError } from "smol-toml";
import { at, isSameMeaning, meaningOf, readDocument, type Document } from "../../src/config/clients/document.ts";
import { replaceByGateway } from "../../src/config/clients/gateway-entry.ts";
import { readJson5 } from "../../src/config/clients/json5.ts";
import { withMember, withoutMember } from "../../src/config/clients/members.ts";
import { locateToml } from "../../src/config/clients/toml.ts";
import { refuseRepeatedKeys, SyntaxProblem, valueOf } from "../../src/config/clients/tree.ts";
import { unwrapDocument } from "../../src/config/clients/unwrap.ts";
import { wrapDocument } from "../../src/config/clients/wrap.ts";
import { readJsonc } from "../../src/config/jsonc.ts";
import { HoldfastError } from "../../src/errors.ts";
import { randomToml } from "../config/clients/helpers/random-config.ts";
import { Random } from "../mcp/helpers/random.ts";
import { damaged } from "./helpers/json-texts.ts";
import { clientFile, dialects, documentOf, valueIn, type Dialect } from "./helpers/json5-texts.ts";
import { assertLinear, property } from "./helpers/property.ts";

type Read = { value: unknown } | { refused: string };

function tried(read: () => unknown): Read {
  try {
    return { value: read() };
  } catch (thrown) {
    if ([SyntaxError, SyntaxProblem, TomlError].some((kind) => thrown instanceof kind))
      return { refused: String(thrown) };
    throw thrown;
  }
}

const isSame = (one: unknown, other: unknown) => isSameMeaning(one, other);

function agreeOnJson5(text: string): void {
  const ours = tried(() => {
    const tree = readJson5(text);
    refuseRepeatedKeys(tree);
    return valueOf(tree);
  });
  if ("refused" in ours && /there twice/.test(ours.refused)) return;
  const theirs = tried(() => json5.parse(text));
  assert.deepEqual("refused" in ours, "refused" in theirs, JSON.stringify({ ours, theirs }));
  if ("value" in ours && "value" in theirs)
    assert.ok(isSame(ours.value, theirs.value), JSON.stringify({ ours, theirs }));
}

const inDialects = (make: (dialect: Dialect) => fc.Arbitrary<string>) => fc.oneof(...dialects.map(make));
const documents = inDialects((dialect) => documentOf(dialect, valueIn(dialect)));

describe("a JSON file, in any dialect", () => {
  property("is read as json5 reads it", 600, documents, agreeOnJson5);
  property("that is damaged is refused as json5 refuses it", 800, damaged(documents), agreeOnJson5);
  property(
    "with comments at most is read as JSON.parse and json5 read it, or refused with a place in it",
    800,
    fc.oneof(damaged(documents), documents),
    (text) => {
      const read = readJsonc(text);
      if ("problem" in read) {
        const { line, column, message } = read.problem;
        assert.ok(line >= 1 && line <= text.split("\n").length && column >= 1 && message !== "");
        const theirs = tried(() => JSON.parse(text) as unknown);
        return assert.ok("refused" in theirs || /there twice/.test(message), message);
      }
      const theirs = tried(() => json5.parse(text));
      assert.ok("value" in theirs && isSame(read.value, theirs.value), JSON.stringify({ read, theirs }));
    },
  );
  property(
    "is read in time in proportion to its length",
    15,
    fc.oneof(documents, fc.constantFrom("[", '{"a":', "/*", "//", "'", "\\", "[[],")).filter((piece) => piece !== ""),
    (piece) => {
      assertLinear(
        (length) => void tried(() => readJson5(`[${`${piece},`.repeat(length / (piece.length + 1))}0]`)),
        40_000,
        piece,
      );
    },
  );
});

const prefixes = [["holdfast"], ["/opt/node/bin/node", '/opt/my "x"/holdfast/dist/main.js']];
const places: [file: string, path: string[]][] = [
  ["x.json", ["mcpServers"]],
  ["openclaw.json", ["mcp", "servers"]],
  ["mcp.json", ["servers"]],
];

/** Undefined: the file is refused in words for a person. */
function documentIn(file: string, text: string, path: string[]): Document | undefined {
  try {
    return readDocument(file, text, [path]);
  } catch (thrown) {
    assert.ok(thrown instanceof HoldfastError && thrown.code === "client_config_invalid", String(thrown));
    assert.match(thrown.message, /line \d+: .*; nothing was changed$/s);
    return undefined;
  }
}

function survivesWrap(file: string, text: string, path: string[], prefix: string[]): void {
  const before = documentIn(file, text, path);
  if (before === undefined) return;
  const { after } = wrapDocument(before, prefix);
  const wrapped = readDocument(file, after, [path]);
  assert.equal(wrapDocument(wrapped, prefix).after, after, "wrapped twice");
  assert.equal(unwrapDocument(wrapped, [before]).after, unwrapDocument(before, [before]).after, "there and back");
  const [was, is] = [meaningOf(text, before.language), meaningOf(after, before.language)];
  for (const { path: to } of before.entries) {
    const server = at(is, to) as { command?: unknown; args?: unknown[] };
    const old = at(was, to) as { command?: unknown; args?: unknown[] };
    if (isSame(old, server)) continue;
    assert.deepEqual([server.command, ...server.args!], [...prefix, "run", "--", old.command, ...(old.args ?? [])]);
    server.command = old.command;
    if (old.args === undefined) delete server.args;
    else server.args = old.args;
  }
  assert.ok(isSame(was, is), "and nothing else has changed");
}

const files = fc.constantFrom(...places).chain(([file, path]) =>
  fc.tuple(
    fc.constant(file),
    inDialects((dialect) => clientFile(dialect, path)),
    fc.constant(path),
    fc.constantFrom(...prefixes),
  ),
);
const damagedFiles = files.chain(([file, text, path, prefix]) =>
  fc.tuple(fc.constant(file), damaged(fc.constant(text)), fc.constant(path), fc.constant(prefix)),
);
const tomls = fc
  .tuple(fc.nat(), fc.constantFrom(...prefixes))
  .map(([seed, prefix]) => [randomToml(new Random(seed)).text, prefix] as const);
const damagedTomls = tomls.chain(([text, prefix]) => fc.tuple(damaged(fc.constant(text)), fc.constant(prefix)));

describe("a client's file", () => {
  property(
    "is the same bytes after `wrap` and `unwrap`, and between them differs in command and args alone",
    600,
    files,
    (given) => survivesWrap(...given),
  );
  property("that is damaged is refused with a line, or survives them as well", 600, damagedFiles, (given) =>
    survivesWrap(...given),
  );
  property("of Codex survives them, too", 200, fc.oneof(tomls, damagedTomls), ([text, prefix]) =>
    survivesWrap("config.toml", text, ["mcp_servers"], [...prefix]),
  );
  property(
    "gets the gateway in place of its servers, and everything else stays",
    400,
    fc.oneof(
      files,
      tomls.map(([text, prefix]) => ["config.toml", text, ["mcp_servers"], [...prefix]] as const),
    ),
    ([file, text, path, prefix]) => {
      const before = documentIn(file, text, [...path]);
      if (before === undefined) return;
      const taken = new Set(
        before.entries.filter(({ name }) => name.length % 2 === 0 || name === "holdfast").map(({ name }) => name),
      );
      const after = replaced(before, [...prefix, "mcp"], taken);
      if (after === undefined) return;
      const [was, is] = [meaningOf(text, before.language), meaningOf(after, before.language)];
      const servers = at(is, path) as Record<string, unknown>;
      for (const [name, server] of Object.entries(at(was, path) ?? {}))
        if (!taken.has(name)) assert.ok(isSame(servers[name], server), name);
      if (taken.size > 0) assert.equal((servers["holdfast"] as { command: string }).command, prefix[0]);
    },
  );
  property(
    "of our own gets a member and loses it again, and keeps its meaning and its comments",
    400,
    inDialects((dialect) => clientFile(dialect, ["mcpServers"])),
    (text) => {
      const document = documentIn("holdfast.json", text, ["mcpServers"]);
      const container = document?.containers[0]?.node;
      if (container === undefined || container.members.some(({ key }) => key === "new")) return;
      const more = withMember(text, container, "new", { command: "x", args: ["y"] });
      const there = readDocument("holdfast.json", more, [["mcpServers"]]).containers[0]!.node;
      assert.ok(isSame(valueOf(there), { ...(valueOf(container) as object), new: { command: "x", args: ["y"] } }));
      const fewer = withoutMember(more, there, "new");
      assert.ok(isSame(meaningOf(fewer, "json"), meaningOf(text, "json")));
      for (const { key } of there.members) {
        const without = readDocument("holdfast.json", withoutMember(more, there, key), [["mcpServers"]]).containers[0]!
          .node;
        const { [key]: _, ...rest } = valueOf(there) as Record<string, unknown>;
        assert.ok(isSame(valueOf(without), rest), key);
      }
      assert.deepEqual(commentsOf(fewer), commentsOf(text));
    },
  );
});

/** Undefined: refused, with the remedy. */
function replaced(before: Document, words: string[], taken: Set<string>): string | undefined {
  try {
    return replaceByGateway(before, words, ({ name }) => taken.has(name)).after;
  } catch (thrown) {
    assert.match(String(thrown), /is not written as a table of its own|is another server of that name/);
    return undefined;
  }
}

const commentsOf = (text: string) =>
  (text.match(/"(?:\\[^]|[^"\\])*"|'(?:\\[^]|[^'\\])*'|\/\/[^\n\r\u2028\u2029]*|\/\*[^]*?\*\//g) ?? []).filter((part) =>
    part.startsWith("/"),
  );

describe("a TOML file", () => {
  property("is located where smol-toml has its values", 200, fc.oneof(tomls, damagedTomls), ([text]) => {
    const theirs = tried(() => parseToml(text, { integersAsBigInt: "asNeeded" }));
    if ("refused" in theirs) return;
    const { when: _, ...rest } = theirs.value as Record<string, unknown>;
    const { when: __, ...ours } = valueOf(locateToml(text).root) as Record<string, unknown>;
    assert.ok(isSame(ours, rest), JSON.stringify({ ours, rest }));
  });
});
