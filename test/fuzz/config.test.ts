/** `holdfast.json`: any text is a config, or refused with the key that is wrong; one server's error is its own. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as fc from "fast-check";
import { expandVariables } from "../../src/config/expand.ts";
import { checkConfig, parseConfig } from "../../src/config/load.ts";
import { servedNames } from "../../src/config/names.ts";
import { configSchema, type Config } from "../../src/config/schema.ts";
import { HoldfastError } from "../../src/errors.ts";
import { keyText } from "../../src/plain-issues.ts";
import { damaged, valueText } from "./helpers/json-texts.ts";
import { documentOf, valueIn } from "./helpers/json5-texts.ts";
import { property } from "./helpers/property.ts";
import { harm, harmed, oddValue, valueOf } from "./helpers/shapes.ts";

const name = fc.oneof(
  fc.constantFrom("files", "@scope/x", "scope-x", "a b", "__proto__", "x".repeat(80), "", "a.b"),
  fc.string(),
);
const words = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom("sh", "node", "${HOME}/x", "${NONE_SUCH}", "${A:-b}", "${", "$HOME"),
);
const stdio = fc.record(
  {
    command: words.filter((word) => word !== ""),
    args: fc.array(words, { maxLength: 3 }),
    env: fc.dictionary(fc.constantFrom("A", "PATH", "__proto__"), words),
    host: fc.constantFrom("local", "ssh:me@host", "node-1"),
    type: fc.constantFrom("stdio", "local"),
    share: fc.constantFrom("session", "pool"),
    limits: fc.constantFrom({}, { processesMax: 3 }),
    disabled: fc.boolean(),
    requestTimeoutMs: fc.nat(),
    autoApprove: fc.constant(["a"]),
  },
  { requiredKeys: ["command"], noNullPrototype: true },
);
const remote = fc.record(
  {
    url: fc.constantFrom("https://example.com/mcp", "http://${HOME}/", "x"),
    headers: fc.dictionary(fc.constantFrom("X-A", "authorization"), words),
    oauth: fc.constantFrom(false, { scopes: ["a"] }),
    type: fc.constantFrom("http", "sse", "streamableHttp"),
  },
  { requiredKeys: ["url"], noNullPrototype: true },
);
const server = fc.oneof(
  { weight: 3, arbitrary: fc.oneof(stdio, remote) },
  fc.tuple(fc.oneof(stdio, remote), harm).map(([value, each]) => harmed(value, each).value),
  oddValue,
);
const fileSchema = configSchema.def.in as unknown as Parameters<typeof valueOf>[0] & {
  shape: Record<string, Parameters<typeof valueOf>[0]>;
};
const { mcpServers: _, tls: __, allowedOrigins: ___, ...plain } = fileSchema.shape;
const plainConfig = fc.record(Object.fromEntries(Object.entries(plain).map(([key, shape]) => [key, valueOf(shape)])), {
  requiredKeys: [],
  noNullPrototype: true,
});

function readOrRefused(text: string, read: (file: string, text: string) => Config): Config | string {
  try {
    return read("holdfast.json", text);
  } catch (thrown) {
    assert.ok(
      thrown instanceof HoldfastError && thrown.code === "config_invalid",
      String(thrown instanceof Error ? thrown.stack : thrown),
    );
    for (const line of thrown.message.split("\n").filter((each) => each.startsWith("holdfast.json")))
      assert.match(line, /^holdfast\.json(?:, line \d+, column \d+)?: \S/);
    assert.ok(thrown.message.startsWith("holdfast.json"));
    return thrown.message;
  }
}

describe("holdfast.json", () => {
  property(
    "of any text is read or refused, with its line or its keys",
    500,
    fc.oneof(valueText, damaged(valueText), documentOf("jsonc", valueIn("jsonc")), fc.string()),
    (text) => {
      readOrRefused(text, parseConfig);
    },
  );
  property("that fits the schema, but for how two keys fit each other, is read", 150, plainConfig, (config) => {
    const read = readOrRefused(JSON.stringify(config), parseConfig);
    if (typeof read === "string")
      return assert.match(
        read,
        /at least (?:5 times|twice) |must be 0 \(never\)|must be an absolute path|works on macOS only/,
      );
    for (const [key, value] of Object.entries(config))
      if (typeof value === "number") assert.equal(read[key as keyof Config], value);
  });
  property(
    "with a wrong value is refused with the key of that value, or of the one that it was to be",
    400,
    fc.tuple(plainConfig, harm),
    ([config, each]) => {
      const { value, keys } = harmed(config, each);
      if (readOrRefused(JSON.stringify(config), parseConfig) === undefined) return;
      const wasWrong = typeof readOrRefused(JSON.stringify(config), parseConfig) === "string";
      const read = readOrRefused(JSON.stringify(value) ?? "null", parseConfig);
      const [key] = keys;
      if (typeof read === "string" && !wasWrong && key !== undefined)
        assert.ok(read.includes(keyText([key])), `${read} names ${key}`);
    },
  );
  property(
    "loses no server: each is served, or unavailable with the key that is wrong",
    300,
    fc.dictionary(name, server, { maxKeys: 4, noNullPrototype: true }),
    (given) => {
      const text = JSON.stringify({ mcpServers: given });
      const written = Object.keys(JSON.parse(text).mcpServers as object);
      const read = readOrRefused(text, checkConfig);
      assert.ok(typeof read !== "string");
      const served = [...Object.keys(read.mcpServers), ...Object.keys(read.unavailable)];
      assert.equal(served.length, written.length);
      assert.equal(new Set(served).size, served.length);
      for (const each of served) assert.match(each, /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/);
      assert.deepEqual(new Set(served.map((each) => read.writtenNames[each] ?? each)), new Set(written));
      for (const [each, { problem }] of Object.entries(read.unavailable))
        assert.ok(problem.includes(keyText(["mcpServers", read.writtenNames[each] ?? each])), problem);
    },
  );
});

describe("names of servers", () => {
  property(
    "are each their own, fit a path, and do not depend on the order",
    400,
    fc.uniqueArray(name, { maxLength: 6 }),
    (names) => {
      const served = servedNames(names);
      assert.equal(new Set(served.values()).size, names.length);
      for (const each of served.values()) assert.match(each, /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/);
      const others = servedNames(names.toReversed());
      for (const one of names) assert.equal(others.get(one), served.get(one));
    },
  );
});

describe("variables", () => {
  const piece = fc.constantFrom(
    "${A}",
    "${B:-x}",
    "${C}",
    "$A",
    "${",
    "}",
    "${A:-}",
    "${E:-${A}}",
    "text",
    "$$",
    "${__proto__}",
    "${toString:-d}",
  );
  property("are replaced once, and all else stays", 400, fc.array(piece, { maxLength: 8 }), (pieces) => {
    const values = { A: "a${B}", E: "" };
    const missing: string[] = [];
    const text = expandVariables(pieces.join("§"), values, (variable) => (missing.push(variable), "?"));
    const one: Record<string, string> = {
      "${A}": values.A,
      "${B:-x}": "x",
      "${C}": "?",
      "${A:-}": values.A,
      "${E:-${A}}": "${A}",
      "${__proto__}": "?",
      "${toString:-d}": "d",
    };
    if (pieces.includes("${")) return;
    assert.equal(text, pieces.map((each) => one[each] ?? each).join("§"));
    assert.equal(missing.length, pieces.filter((each) => each === "${C}" || each === "${__proto__}").length);
  });
});
