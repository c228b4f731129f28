/** A config that is wrong is told so at once: one line that names the file, the key and what to do. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loadConfig, needsCertificate, type ConfigOverrides } from "../../src/config/load.ts";
import type { RemoteConfig, ServerConfig } from "../../src/config/schema.ts";
import { HoldfastError } from "../../src/errors.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";

let directory = "";
let file = "";

function write(text: string): void {
  writeFileSync(file, text);
}

/** The error that loading the file gives; fails the test when there is none. */
function refusal(text: string, overrides: ConfigOverrides = { strict: true }): HoldfastError {
  write(text);
  try {
    loadConfig(file, overrides);
  } catch (thrown) {
    assert.ok(thrown instanceof HoldfastError, String(thrown));
    return thrown;
  }
  return assert.fail(`nothing is wrong with ${text}`);
}

/** Each word must be in the message, and the file in front of each line of it. */
function assertTells(error: HoldfastError, ...words: (string | RegExp)[]): void {
  assert.equal(error.code, "config_invalid");
  for (const line of error.message.split("\n")) assert.ok(line.startsWith(file), line);
  for (const word of words) {
    if (typeof word === "string") assert.ok(error.message.includes(word), `${word} is not in: ${error.message}`);
    else assert.match(error.message, word);
  }
}

const server = (keys: object) => JSON.stringify({ mcpServers: { files: { command: "sh", ...keys } } });

describe("the config", () => {
  leavesNothing();
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-config-"));
    file = join(directory, "holdfast.json");
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  it("has defaults for everything", () => {
    const config = loadConfig(undefined);
    assert.partialDeepStrictEqual(config, {
      port: 4653,
      bind: ["127.0.0.1", "::1"],
      mcpServers: {},
      session: { idleLeaseMs: 1_800_000, sessionsMax: 1000 },
      stop: { stdinGraceMs: 2000, termGraceMs: 3000 },
      limits: {
        runsMax: 2000,
        startsMax: 4,
        listMs: 2000,
        messageBytesMax: 16_777_216,
        questionMs: 600_000,
        frontRestartsMax: 10,
        frontRestartWindowMs: 60_000,
        frontStuckMs: 5000,
      },
      connections: {
        max: 10_000,
        unprovenPerAddressMax: 256,
        headMs: 5000,
        authMs: 10_000,
        idleMs: 60_000,
        heartbeatMs: 15_000,
        heartbeatGraceMs: 10_000,
        slowMs: 10_000,
        pauseBytes: 1_048_576,
        closeBytes: 4_194_304,
        closingMs: 2000,
        drainMs: 5000,
      },
      allowedOrigins: [],
      allowedHosts: [],
      ssh: { heartbeatMs: 1000, heartbeatTimeoutMs: 4000, runsPerConnection: 8 },
    });
  });

  it("is JSON with comments and trailing commas", () => {
    write('{\n  // the port\n  "port": 1234, /* and */\n  "mcpServers": {},\n}\n');
    assert.equal(loadConfig(file).port, 1234);
  });

  it("may begin with a byte order mark, as editors of Windows write it", () => {
    for (const text of ['{ "port": 1234 }', '// the port\r\n{\r\n\t"port": 1234,\r\n}\r\n', '\n{ "port": 1234 }']) {
      write(`\uFEFF${text}`);
      assert.equal(loadConfig(file).port, 1234, JSON.stringify(text));
    }
    assertTells(refusal("\uFEFF"), file);
  });

  it("has remote servers by their url, with headers and a bearer token from the environment", () => {
    process.env["HOLDFAST_CONFIG_TEST"] = "secret";
    try {
      const far = {
        url: "https://far.example/${HOLDFAST_CONFIG_NONE:-mcp}",
        headers: { "X-Key": "k-${HOLDFAST_CONFIG_TEST}" },
      };
      const configOf = (keys: object) => JSON.stringify({ mcpServers: { far: { ...far, ...keys } } });
      write(configOf({ bearerTokenEnv: "HOLDFAST_CONFIG_TEST" }));
      const { url, headers, type } = loadConfig(file).mcpServers["far"] as RemoteConfig;
      assert.deepEqual([url, type], ["https://far.example/mcp", "http"]);
      assert.deepEqual(headers, { __proto__: null, "X-Key": "k-secret", authorization: "Bearer secret" });
      write(configOf({ bearerTokenEnv: "HOLDFAST_CONFIG_NONE" }));
      assert.throws(
        () => loadConfig(file, { strict: true }),
        /mcpServers\.far\.bearerTokenEnv: the variable HOLDFAST_CONFIG_NONE holds no token/,
      );
      write(configOf({ url: "ftp://far" }));
      assert.throws(
        () => loadConfig(file, { strict: true }),
        /mcpServers\.far\.url: ftp:\/\/far is not an http or https URL/,
      );
      write(configOf({ command: "sh" }));
      assert.throws(() => loadConfig(file, { strict: true }), /unknown key mcpServers\.far\.command/);
    } finally {
      delete process.env["HOLDFAST_CONFIG_TEST"];
    }
  });

  it("has servers on nodes, whose program is the node's business, and another place for them only where that means something", () => {
    const configOf = (keys: object) => write(JSON.stringify({ mcpServers: { far: { command: "no-such", ...keys } } }));
    configOf({ host: "build-1", cwd: "/not/here", hostFallback: "build-2" });
    const { host, hostFallback } = loadConfig(file).mcpServers["far"] as ServerConfig;
    assert.deepEqual([host, hostFallback], ["build-1", "build-2"]);
    configOf({ host: "build-1", hostFallback: "local" });
    assert.throws(() => loadConfig(file, { strict: true }), /mcpServers\.far\.command: no-such is not a program/);
    for (const keys of [
      { hostFallback: "local" },
      { host: "ssh:far", hostFallback: "local" },
      { host: "a", hostFallback: "a" },
    ]) {
      configOf(keys);
      assert.throws(
        () => loadConfig(file, { strict: true }),
        /mcpServers\.far\.hostFallback: is for a server whose host is a node, and names another place/,
      );
    }
    configOf({ host: "no node" });
    assert.throws(() => loadConfig(file, { strict: true }), /mcpServers\.far\.host: must be local, a node's name/);
  });

  it("yields to the command line", () => {
    write('{ "port": 1, "bind": ["::1"] }');
    const config = loadConfig(file, { port: 0, bind: ["127.0.0.2"] });
    assert.deepEqual([config.port, config.bind], [0, ["127.0.0.2"]]);
  });

  it("fills in ${VAR} and ${VAR:-default} in command, args, env and cwd", () => {
    process.env["HOLDFAST_CONFIG_TEST"] = "from outside";
    try {
      write(
        server({
          command: "${HOLDFAST_CONFIG_NONE:-sh}",
          args: ["${HOLDFAST_CONFIG_TEST}!", "$HOME stays"],
          env: { A: "${HOLDFAST_CONFIG_NONE:-b}" },
          cwd: "${HOLDFAST_CONFIG_NONE:-/}",
        }),
      );
      const { command, args, env, cwd } = loadConfig(file).mcpServers["files"] as ServerConfig;
      assert.deepEqual(
        { command, args, env, cwd },
        { command: "sh", args: ["from outside!", "$HOME stays"], env: { __proto__: null, A: "b" }, cwd: "/" },
      );
    } finally {
      delete process.env["HOLDFAST_CONFIG_TEST"];
    }
  });

  it("may name a program that is not there as long as the server is disabled", () => {
    write(server({ command: "no-such-program-here", enabled: false }));
    assert.equal(loadConfig(file).mcpServers["files"]?.enabled, false);
  });
});

it("an address that others can reach needs a certificate, whatever it looks like", () => {
  for (const address of ["0.0.0.0", "::", "192.168.0.1", "localhost", "127.0.0.1.example.com", "127.1"])
    assert.equal(needsCertificate({ bind: ["127.0.0.1", address] }), true, address);
  assert.equal(needsCertificate({ bind: ["127.0.0.1", "127.9.9.9", "::1"] }), false);
  assert.equal(needsCertificate({ bind: ["0.0.0.0"], tls: { cert: "given", key: "given" } }), false);
});

describe("a wrong config is refused with file, key and remedy", () => {
  leavesNothing();
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-config-"));
    file = join(directory, "holdfast.json");
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  it("an unknown key", () => {
    assertTells(refusal('{ "prot": 1 }'), "unknown key prot", "remove it", "docs/config.md");
  });

  it("an unknown key of a server", () => {
    assertTells(refusal(server({ comand: "sh" })), "unknown key mcpServers.files.comand", "remove it");
  });

  it("a value of another type", () => {
    assertTells(refusal('{ "port": "4653" }'), "port: ", "expected a whole number", 'found "4653"');
  });

  it("a file that holds something other than an object", () => {
    for (const [text, found] of [
      ["null", "null"],
      ["[]", "a list"],
      ['"{}"', "text"],
      ["7", "a number"],
    ] as const)
      assertTells(refusal(text), `expected an object, found ${found}`, "docs/config.md");
  });

  it("a value out of bounds", () => {
    assertTells(refusal('{ "port": 99999 }'), "port: ", "99999 is too large; the maximum is 65535");
    assertTells(
      refusal('{ "session": { "idleLeaseMs": 0 } }'),
      "session.idleLeaseMs: ",
      "0 is too small; the minimum is 1",
    );
  });

  it("several mistakes at once, each on its line", () => {
    const { message } = refusal('{ "port": -1, "prot": 1 }');
    assert.equal(message.split("\n").length, 2);
  });

  it("a server without a command", () => {
    assertTells(refusal('{ "mcpServers": { "files": {} } }'), "mcpServers.files.command");
  });

  it("a command that is not there", () => {
    const error = refusal(server({ command: "no-such-program-here" }));
    assertTells(error, "mcpServers.files.command", "no-such-program-here", "install it", '"enabled": false');
  });

  it("a command that is looked for on the PATH that the server gets", () => {
    assertTells(refusal(server({ env: { PATH: directory } })), "mcpServers.files.command");
  });

  it("a command that is a directory or no program", () => {
    assertTells(refusal(server({ command: directory })), "mcpServers.files.command");
    assertTells(refusal(server({ command: file })), "mcpServers.files.command");
  });

  it("a working directory that is not there", () => {
    assertTells(refusal(server({ cwd: join(directory, "none") })), "mcpServers.files.cwd", "make it");
  });

  it("a variable that is not set", () => {
    const error = refusal(server({ env: { KEY: "${HOLDFAST_CONFIG_NONE}" } }));
    assertTells(error, "mcpServers.files.env.KEY", "HOLDFAST_CONFIG_NONE is not set", "${HOLDFAST_CONFIG_NONE:-value}");
  });

  it("own tools that could run nothing, or for a scope that is none", () => {
    assertTells(refusal('{"tools": {"exec": "run"}}'), "tools.exec: needs exec.enabled; set");
    assertTells(refusal('{"tools": {"exec": "read"}}'), "tools.exec");
    assertTells(refusal('{"tools": {"status": true}}'), "tools.status");
    write('{"tools": {"exec": "admin", "status": "read"}, "exec": {"enabled": true}}');
    assert.deepEqual(loadConfig(file).tools, { exec: "admin", nodes: false, sessions: false, status: "read" });
  });

  it("an allowed origin that no page has, since its pages send `null` as any sandboxed page does", () => {
    assertTells(refusal('{"allowedOrigins": ["file:///srv/page.html"]}'), "allowedOrigins.0");
  });
  it("broken JSON, by its line", () => {
    assertTells(refusal('{\n  // a comment\n  "port": 1,\n  "bind" [\n}\n'), "line 4, column 10", "a colon is missing");
    assertTells(refusal(""), "line 1");
  });

  it("JSON that is no object", () => {
    assertTells(refusal("[]"), "expected an object");
  });

  it("whatever it is, with what to do about it", () => {
    const mistakes = ['{ "port": 99999 }', '{ "mcpServers": { "files": {} } }'];
    for (const mistake of mistakes) assertTells(refusal(mistake), /docs\/config\.md|expected text/);
  });

  it("a file that cannot be read, for what reason in plain words", () => {
    for (const [path, reason] of [
      [join(directory, "none.json"), "there is no such file or directory"],
      [directory, "it is a directory"],
      [join(file, "below"), "a part of its path is not a directory"],
    ] as const)
      assert.throws(() => loadConfig(path), {
        code: "config_unreadable",
        message: `cannot read the config ${path}: ${reason}; correct the path or its rights, or leave --config out`,
      });
  });
});
