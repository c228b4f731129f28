/** What other clients' files mean here: units, foreign keys, names of any kind, and nothing lost or taken silently. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readDocument } from "../../../src/config/clients/document.ts";
import { importServers, type Imported } from "../../../src/config/clients/import.ts";
import { exportServers } from "../../../src/config/clients/export.ts";
import { changeServers } from "../../../src/config/clients/own-config.ts";
import { serversPaths, type ClientName } from "../../../src/config/clients/places.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { HoldfastError } from "../../../src/errors.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";

leavesNothing();

function imported(file: string, text: string, client?: ClientName): Imported[] {
  return importServers(readDocument(file, text, serversPaths(client, file)), client);
}
function one(file: string, server: object, client?: ClientName): Imported {
  const [found] = imported(file, JSON.stringify({ mcpServers: { x: { command: "sh", ...server } } }), client);
  assert.ok(found);
  return found;
}
const timeout = ({ server }: Imported) => server?.["requestTimeoutMs"];

describe("a timeout of another client", () => {
  it("is in seconds in Cline's file and in those of its descendants", () => {
    assert.equal(timeout(one("/a/cline_mcp_settings.json", { timeout: 60 })), 60_000);
    assert.equal(timeout(one("/a/mcp_settings.json", { timeout: 3600, disabled: false })), 3_600_000);
    assert.equal(timeout(one("/a/any.json", { timeout: 1.5, autoApprove: [] })), 1500);
    assert.equal(timeout(one("/a/any.json", { timeout: 5000, alwaysAllow: ["x"] })), 5_000_000);
  });

  it("is in milliseconds in those that count so", () => {
    for (const client of ["claude", "copilot", "gemini"] as const)
      assert.equal(timeout(one("/a/file.json", { timeout: 30_000 }, client)), 30_000, client);
    assert.equal(timeout(one("/a/file.json", { timeout: 500 }, "claude")), 500);
  });

  it("is read by its size where the client is not known, and that is said", () => {
    const [short, long] = [one("/a/file.json", { timeout: 60 }), one("/a/file.json", { timeout: 60_000 })];
    assert.deepEqual([timeout(short), timeout(long)], [60_000, 60_000]);
    assert.match(short.notes.join(), /timeout: 60 was read as seconds; correct requestTimeoutMs/);
    assert.match(long.notes.join(), /timeout: 60000 was read as milliseconds/);
  });
});

describe("keys of other clients", () => {
  it("are understood, or left out with a word on what they are", () => {
    const { server, notes } = one("/a/cline_mcp_settings.json", {
      type: "stdio",
      disabled: true,
      timeout: 60,
      autoApprove: ["a"],
      nonsense: 1,
    });
    assert.deepEqual(server, { command: "sh", enabled: false, requestTimeoutMs: 60_000 });
    assert.deepEqual(notes, [
      "autoApprove (which tools run without asking) is the client's own setting and was left out",
      "nonsense is not known to Holdfast and was left out",
    ]);
    assert.equal(
      one("/a/x.json", { constructor: 1, toString: 2 }).notes.length,
      2,
      "names of Object's own are keys too",
    );
  });

  it("are understood in holdfast.json, or refused with the key that it has instead", () => {
    const text = (server: object) => JSON.stringify({ mcpServers: { x: { command: "sh", ...server } } });
    const { mcpServers } = parseConfig("f", text({ type: "stdio", disabled: true, alwaysAllow: [], autoApprove: [] }));
    assert.equal(mcpServers["x"]?.enabled, false);
    const remote = { mcpServers: { x: { type: "streamableHttp", url: "http://x" } } };
    const read = parseConfig("f", JSON.stringify(remote)).mcpServers["x"];
    assert.ok(read !== undefined && "url" in read && read.type === "streamable-http");
    const refused = (server: object) => parseConfig("f", text(server)).unavailable["x"]?.problem ?? "";
    assert.match(
      refused({ timeout: 60 }),
      /unknown key mcpServers\.x\.timeout; write requestTimeoutMs, in milliseconds/,
    );
    assert.match(refused({ disabled: true, enabled: true }), /unknown key mcpServers\.x\.disabled/);
    assert.match(refused({ type: "sse" }), /unknown key mcpServers\.x\.type/);
  });
});

describe("a server of any name", () => {
  const names = [
    "io.github.upstash/context7",
    "@scope/x",
    "My Server",
    "__proto__",
    "constructor",
    "toString",
    "x".repeat(80),
  ];

  it("is taken over, kept under its name, served under one that fits into a path, and exported as it was", () => {
    const text = `{"mcpServers": {${names.map((name) => `${JSON.stringify(name)}: {"command": "sh"}`).join(", ")}}}`;
    const found = imported("/a/any.json", text);
    assert.deepEqual(
      found.map(({ name, refused }) => [name, refused]),
      names.map((name) => [name, undefined]),
    );
    const own = { file: "f", read: undefined, text: "{}", servers: {} };
    const written = changeServers(
      own,
      found.map(({ name, server = {} }) => [name, server]),
    );
    const { mcpServers, writtenNames } = parseConfig("f", written);
    const served = Object.keys(mcpServers);
    assert.equal(served.length, names.length);
    for (const name of served) assert.match(name, /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/);
    const back = served.map((name) => (Object.hasOwn(writtenNames, name) ? writtenNames[name] : name));
    assert.deepEqual(new Set(back), new Set(names));
    assert.deepEqual(served.slice(0, 3), ["io-github-upstash-context7", "scope-x", "My-Server"]);
    const all = JSON.parse(written) as { mcpServers: Record<string, { command: string }> };
    for (const client of ["claude", "codex"] as const) {
      const exported = exportServers(all.mcpServers, client);
      const again = imported(client === "codex" ? "/a/c.toml" : "/a/c.json", exported.text, client);
      assert.deepEqual(again.map(({ name }) => name).toSorted(), names.toSorted(), client);
    }
    assert.equal(Object.hasOwn(Object.prototype, "command"), false);
  });

  it("has its name marked where two would be one, whatever their order", () => {
    const served = (...given: string[]) => {
      const servers = Object.fromEntries(given.map((name) => [name, { command: "sh" }]));
      const { writtenNames } = parseConfig("f", JSON.stringify({ mcpServers: servers }));
      return Object.entries(writtenNames).toSorted(([a], [b]) => (a < b ? -1 : 1));
    };
    assert.deepEqual(served("a b", "a.b"), served("a.b", "a b"));
    assert.equal(new Set(served("a b", "a.b").map(([name]) => name)).size, 2);
    assert.equal(served("a-b", "a b")[0]?.[0].startsWith("a-b-"), true, "who has the name itself keeps it");
    assert.match(served("服务器")[0]?.[0] ?? "", /^server-[0-9a-f]{6}$/);
  });

  it("has variables and headers of any name", () => {
    const env = '{"__proto__": "1", "constructor": "2", "toString": "${HOLDFAST_NONE:-3}"}';
    const text = `{"mcpServers": {"x": {"command": "sh", "env": ${env}}, "y": {"url": "http://y", "headers": {"constructor": "4"}}}}`;
    const read = parseConfig("f", text).mcpServers;
    const [x, y] = [read["x"], read["y"]];
    assert.ok(x !== undefined && "command" in x && y !== undefined && "url" in y);
    assert.deepEqual(
      Object.entries(x.env).map(([name]) => name),
      ["__proto__", "constructor", "toString"],
    );
    assert.deepEqual(Object.entries(y.headers), [["constructor", "4"]]);
    const [taken] = imported("/a/any.json", text);
    assert.deepEqual(Object.entries(taken?.server?.["env"] as object).length, 3);
  });
});

describe("a key that is there twice", () => {
  const twice = '{\n  "mcpServers": {\n    "a": { "command": "sh" },\n    "a": { "command": "cat" }\n  }\n}';
  const inside = '{\n  "mcpServers": {\n    "a": { "command": "sh", "env": { "K": "1",\n      "K": "2" } }\n  }\n}';
  const above = '{ "mcpServers": {},\n "mcpServers": {} }';

  it("is refused with its line, in holdfast.json and in a client's file", () => {
    for (const [text, line] of [
      [twice, 4],
      [inside, 4],
      [above, 2],
    ] as const) {
      const says = new RegExp(`, line ${line}.*the key "(?:a|K|mcpServers)" is there twice`);
      const isRefused = (error: unknown) => error instanceof HoldfastError && says.test(error.message);
      assert.throws(() => parseConfig("holdfast.json", text), isRefused, text);
      assert.throws(() => imported("/a/any.json", text), isRefused, text);
    }
  });

  it("elsewhere in a client's file is the client's business", () => {
    const text = '{ "theme": { "a": 1, "a": 2 }, "mcpServers": { "x": { "command": "sh" } } }';
    assert.deepEqual(
      imported("/a/any.json", text).map(({ name, refused }) => [name, refused]),
      [["x", undefined]],
    );
  });
});
