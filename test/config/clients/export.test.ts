/** Servers go out in each client's form and come back the same; what does not is said. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { meaningOf, readDocument } from "../../../src/config/clients/document.ts";
import { exportServers } from "../../../src/config/clients/export.ts";
import { importServers } from "../../../src/config/clients/import.ts";
import { changeServers, type OwnConfig } from "../../../src/config/clients/own-config.ts";
import { clientNames, serversPaths } from "../../../src/config/clients/places.ts";

const plain = (text: string, language: "json" | "toml") =>
  JSON.parse(JSON.stringify(meaningOf(text, language))) as object;

describe("export", () => {
  for (const client of clientNames) {
    it(`${client}: what goes out comes back the same, and a key that ${client} does not know is named`, () => {
      const servers = {
        a: { command: "npx", args: ["-y", "x"], env: { K: "v" } },
        b: { command: "uvx", requestTimeoutMs: 1500 },
      };
      const { text, refused, notes } = exportServers(servers, client);
      assert.deepEqual(refused, []);
      const file = client === "codex" ? "config.toml" : "mcp.json";
      const back = importServers(readDocument(file, text, serversPaths(client, file)), client);
      const [a, b] = ["a", "b"].map((name) => back.find((one) => one.name === name)?.server);
      const keepsTimeout = ["codex", "openclaw", "gemini"].includes(client);
      assert.deepEqual([a, b], [servers.a, keepsTimeout ? servers.b : { command: "uvx" }]);
      assert.deepEqual(notes, keepsTimeout ? [] : [`b: requestTimeoutMs is not known to ${client} and was left out`]);
    });
  }

  for (const client of clientNames) {
    it(`${client}: remote servers go out and come back with their transport, headers and token`, () => {
      const servers = {
        plain: { url: "https://example.com/mcp", headers: { "X-Team": "a" } },
        token: { url: "https://example.com/mcp", bearerTokenEnv: "TOKEN" },
        old: { type: "sse", url: "https://example.com/sse" },
      };
      const { text, refused, notes } = exportServers(servers, client);
      assert.deepEqual(notes, []);
      assert.deepEqual(refused, client === "codex" ? ["old: codex does not speak sse"] : []);
      const file = client === "codex" ? "config.toml" : "mcp.json";
      const back = importServers(readDocument(file, text, serversPaths(client, file)), client);
      const headers = { Authorization: "Bearer ${TOKEN}" };
      const { url } = servers.token;
      // Cursor finds the transport out by itself, and has no word for it.
      const old = client === "codex" ? undefined : client === "cursor" ? { url: servers.old.url } : servers.old;
      assert.deepEqual(
        ["plain", "token", "old"].map((name) => back.find((one) => one.name === name)?.server),
        [servers.plain, client === "codex" ? servers.token : { url, headers }, old],
      );
    });
  }

  it("codex: a header that is one variable goes by its name, any other variable is refused", () => {
    const servers = {
      named: { url: "https://example.com", headers: { "X-Key": "${KEY}", "X-Team": "a" } },
      mixed: { url: "https://example.com", headers: { "X-Key": "key ${KEY}" } },
    };
    const { text, refused } = exportServers(servers, "codex");
    assert.equal(refused.length, 1);
    assert.deepEqual(plain(text, "toml"), {
      mcp_servers: {
        named: {
          url: "https://example.com",
          http_headers: { "X-Team": "a" },
          env_http_headers: { "X-Key": "KEY" },
        },
      },
    });
    const [back] = importServers(readDocument("c.toml", text, serversPaths("codex", "c.toml")), "codex");
    assert.deepEqual(back?.server, servers.named);
  });

  it("leaves out, and names, a server that the client could not start", () => {
    const servers = {
      a: { command: "x", env: { A: "${A}", B: "${B:-b}" } },
      off: { command: "x", enabled: false },
      c: { command: "x", env: { A: "${A}" } },
    };
    const codex = exportServers(servers, "codex");
    assert.deepEqual(plain(codex.text, "toml"), {
      mcp_servers: { off: { command: "x", enabled: false }, c: { command: "x", env_vars: ["A"] } },
    });
    assert.deepEqual(codex.refused, [
      "a: codex does not fill in ${B:-b}; export writes no server that would not start",
    ]);
    const cursor = exportServers(servers, "cursor");
    assert.deepEqual(cursor.refused.length, 2);
    assert.deepEqual(plain(cursor.text, "json"), { mcpServers: { c: { command: "x", env: { A: "${env:A}" } } } });
  });
});

describe("holdfast.json", () => {
  const config = (text: string): OwnConfig => ({ file: "holdfast.json", read: undefined, text, servers: {} });
  const server = { command: "npx", args: ["x"] };

  it("gets a server on lines of its own, and keeps everybody else's to the byte", () => {
    const laidOut = '"b": {\n\t\t\t"command": "npx",\n\t\t\t"args": [\n\t\t\t\t"x"\n\t\t\t]\n\t\t}';
    for (const [before, after] of [
      [
        '{\n\t"mcpServers": {\n\t\t"a": { "command": "sh" } // first\n\t}\n}',
        `{\n\t"mcpServers": {\n\t\t"a": { "command": "sh" }, // first\n\t\t${laidOut}\n\t}\n}`,
      ],
      [
        '{\n\t"mcpServers": {\n\t\t"a": { "command": "sh" }, /* 1 */ // first\n\t}, // all\n}',
        `{\n\t"mcpServers": {\n\t\t"a": { "command": "sh" }, /* 1 */ // first\n\t\t${laidOut},\n\t}, // all\n}`,
      ],
      ['{\n\t"mcpServers": { /* none */ }\n}', `{\n\t"mcpServers": { /* none */\n\t\t${laidOut}\n\t}\n}`],
      [
        '{"mcpServers":{"a":{"command":"sh"}}}',
        '{"mcpServers":{"a":{"command":"sh"}, "b": {"command":"npx","args":["x"]}}}',
      ],
      [
        '\uFEFF{\r\n\t"port": 0\r\n}',
        `\uFEFF{\n\t"port": 0,\n\t"mcpServers": {\n\t\t${laidOut}\n\t}\n}`.replaceAll("\n", "\r\n"),
      ],
    ] as const) {
      const added = changeServers(config(before), [["b", server]]);
      assert.equal(added, after);
      if (before.includes('"a"'))
        assert.equal(changeServers(config(added), [["b", undefined]]), before, "taken out again");
    }
  });

  it("loses a server from the front, the middle and the end, and no comment of another", () => {
    const text =
      '{ "mcpServers": {\n  // one\n  "a": { "command": "1" }, // a\n  // two\n  "b": { "command": "2" }, // b\n  "c": { "command": "3" } // c\n} }';
    const without = (name: string) => changeServers(config(text), [[name, undefined]]);
    assert.equal(without("a"), text.replace('  "a": { "command": "1" }, // a\n', ""));
    assert.equal(without("b"), text.replace('  "b": { "command": "2" }, // b\n', ""));
    assert.equal(without("c"), text.replace('  "c": { "command": "3" } // c\n', "").replace("}, // b", "} // b"));
    assert.equal(
      changeServers(config('{"mcpServers":{"a":{"command":"1"}, "b":{"command":"2"}}}'), [["a", undefined]]),
      '{"mcpServers":{"b":{"command":"2"}}}',
    );
  });

  it("is not written when it would be no valid config", () => {
    assert.throws(() => changeServers(config("{}"), [["b", { command: 7 }]]), /mcpServers\.b\.command: expected text/);
    assert.throws(() => changeServers(config("[]"), [["b", server]]), /holdfast\.json/);
  });
});
