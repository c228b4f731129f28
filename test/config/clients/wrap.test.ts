/** What `wrap` changes in a config, and that `unwrap` is its exact reverse: on thousands of layouts from a seed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parse as parseToml } from "smol-toml";
import { readDocument, meaningOf, at, type Document } from "../../../src/config/clients/document.ts";
import { describeChange } from "../../../src/config/clients/diff.ts";
import { unwrapDocument } from "../../../src/config/clients/unwrap.ts";
import { checked, wrapDocument } from "../../../src/config/clients/wrap.ts";
import { Random } from "../../mcp/helpers/random.ts";
import { randomJson, randomToml, type RandomConfig } from "./helpers/random-config.ts";

const seed = Number(process.env["HOLDFAST_TEST_SEED"] ?? 20_261_121);
const rounds = 600;

const json = { file: "x.json", path: ["mcpServers"] };
const places = [
  json,
  { file: "openclaw.json", path: ["mcp", "servers"] },
  { file: "mcp.json", path: ["servers"] },
  { file: "config.toml", path: ["mcp_servers"] },
];

function read(file: string, text: string, path: readonly string[]): Document {
  return readDocument(file, text, [path]);
}

const wrapText = (text: string, prefix = ["holdfast"]) => wrapDocument(read(json.file, text, json.path), prefix).after;
const unwrapText = (text: string) => unwrapDocument(read(json.file, text, json.path), []).after;

function checkWrapped(config: RandomConfig, meaning: unknown, path: readonly string[], prefix: string[]): void {
  const [program, ...script] = prefix;
  for (const [name, { command, args }] of Object.entries(config.stdio)) {
    const server = at(meaning, [...path, name]) as { command: string; args: string[] };
    assert.equal(server.command, program);
    assert.deepEqual([...server.args], [...script, "run", "--", command, ...(args ?? [])]);
  }
  for (const name of config.other)
    assert.equal((at(meaning, [...path, name]) as { command?: string }).command, undefined);
}

describe("wrap and unwrap", () => {
  for (const { file, path } of places) {
    it(`${path.join(".")}: wrapped it means the same behind our prefix, twice changes nothing, unwrapped it is the same bytes (seed ${seed})`, (t) => {
      const random = new Random(seed);
      let wrapped = 0;
      for (let round = 0; round < rounds; round += 1) {
        const config = file.endsWith(".toml") ? randomToml(random) : randomJson(random, path);
        const prefix = random.chance(50) ? ["holdfast"] : ["/opt/node/bin/node", '/opt/my "x"/holdfast/dist/main.js'];
        try {
          const before = read(file, config.text, path);
          const { after, findings } = wrapDocument(before, prefix);
          const there = read(file, after, path);
          checkWrapped(config, meaningOf(after, before.language), path, prefix);
          const changed = findings.filter(({ state }) => state === "changed");
          assert.equal(changed.length, Object.keys(config.stdio).length);
          assert.equal(wrapDocument(there, prefix).after, after, "a second time");
          assert.equal(unwrapDocument(there, [before]).after, config.text, "with the backup");
          const alone = unwrapDocument(there, []).after;
          if (!Object.values(config.stdio).some(({ args }) => args?.length === 0))
            assert.equal(alone, config.text, "without a backup");
          wrapped += changed.length;
        } catch (cause) {
          throw new Error(`seed ${seed}, round ${round}:\n${config.text}`, { cause });
        }
      }
      t.diagnostic(`${rounds} configs, ${wrapped} servers`);
      assert.ok(wrapped > rounds, "there was enough to wrap");
    });
  }

  it("keeps what a person wrote around the change, and shows the change line by line without secrets", () => {
    const text =
      '{\n  // mine\n  "mcpServers": {\n    "a": {\n      "env": { "API_KEY": "s3cret" },\n      "command": "npx", // why\n      "args": [\n        "-y" // yes\n      ]\n    }\n  }\n}\n';
    const document = read(json.file, text, json.path);
    const { after } = wrapDocument(document, ["holdfast"]);
    assert.equal(
      after,
      '{\n  // mine\n  "mcpServers": {\n    "a": {\n      "env": { "API_KEY": "s3cret" },\n      "command": "holdfast", // why\n      "args": [\n        "run",\n        "--",\n        "npx",\n        "-y" // yes\n      ]\n    }\n  }\n}\n',
    );
    assert.deepEqual(describeChange(text, after), [
      "@@ -4,6 +4,9 @@",
      '     "a": {',
      '       "env": { "API_KEY": "…" },',
      '-      "command": "npx", // why',
      '+      "command": "holdfast", // why',
      '       "args": [',
      '+        "run",',
      '+        "--",',
      '+        "npx",',
      '         "-y" // yes',
      "       ]",
    ]);
  });

  it("unwraps what a client has written anew in between, and leaves what it added", () => {
    const wrapped = JSON.parse(
      wrapText('{"mcpServers":{"a":{"command":"npx","args":["-y"]},"b":{"command":"x"}}}'),
    ) as {
      mcpServers: Record<string, object>;
    };
    wrapped.mcpServers["c"] = { command: "new" };
    assert.deepEqual(JSON.parse(unwrapText(JSON.stringify({ started: 2, ...wrapped }, null, 4))), {
      started: 2,
      mcpServers: { a: { command: "npx", args: ["-y"] }, b: { command: "x" }, c: { command: "new" } },
    });
  });

  it("unwraps a prefix that a person wrote by hand, options and all, and no other program's", () => {
    const by = (command: string, ...args: string[]) => JSON.stringify({ mcpServers: { a: { command, args } } });
    assert.equal(unwrapText(by("/usr/bin/holdfast", "run", "--term-grace", "500", "--", "npx", "x")), by("npx", "x"));
    for (const script of ["/usr/lib/node_modules/holdfast/lib/main.js", "/srv/holdfast/dist/main.js"])
      assert.equal(unwrapText(by("/opt/node/bin/node", script, "run", "--", "npx", "x")), by("npx", "x"));
    for (const text of [
      by("node", "/srv/dist/main.js", "run", "--", "x"),
      by("node", "/srv/lib/main.js", "run", "--", "x"),
      by("holdfast", "mcp"),
      by("runner", "run", "--", "x"),
    ])
      assert.equal(unwrapText(text), text);
  });

  it("leaves with a word what it cannot hold, and says what it holds in part", () => {
    const text = JSON.stringify({
      mcpServers: {
        web: { type: "http", url: "https://example.com" },
        shell: { command: "cmd", args: ["/c", "npx", "x"] },
        far: { command: "ssh", args: ["host", "server"] },
        off: { command: "x", disabled: true },
        odd: { command: "x", args: "y" },
        none: 5,
        way: { command: "/usr/bin/holdfast", args: ["--state", "/s", "mcp", "--server", "a"] },
        line: { command: "npx -y server" },
        path: { command: "/no such place/server" },
      },
    });
    const { findings, after } = wrapDocument(read(json.file, text, json.path), ["holdfast"]);
    const said = Object.fromEntries(findings.map(({ name, state, note }) => [name.slice(11), `${state}: ${note}`]));
    assert.deepEqual(said, {
      none: "left: it is not an object",
      way: "left: it is a way into a gateway, nothing to hold here",
      web: "left: it is a remote server, nothing to hold here",
      shell: "left: cmd is a Windows shell, and Holdfast does not hold trees on Windows yet",
      far: "changed: ssh: the local side is held, what runs on the other machine is not",
      off: "changed: disabled in the client",
      odd: "left: its args are not a list of texts",
      line: "left: its command is a whole command line; write the program into command and the rest into args",
      path: "changed: undefined",
    });
    assert.equal(unwrapText(after), text);
  });

  it("refuses a broken file by name and line, and a key that is there twice", () => {
    const fails = (file: string, text: string, said: RegExp, path = json.path) =>
      assert.throws(() => read(file, text, path), said);
    fails("a.json", '{\n "mcpServers": {\n  "a" 1 }}', /^HoldfastError: a\.json, line 3: a colon is missing/);
    fails("a.json", "", /a\.json, line 1: a value is missing/);
    fails("a.json", "[".repeat(100_000), /levels deep/);
    fails("a.json", '{ "port": 007 }', /a\.json, line 1: 007 is not a value/);
    fails("a.json", '{"mcpServers":{},"mcpServers":{}}', /a\.json, line 1: the key "mcpServers" is there twice/);
    fails("c.toml", "[mcp_servers.x]\ncommand = \n", /c\.toml, line 2: /, ["mcp_servers"]);
    fails(json.file, '{"mcpServers":{"a":{"command":"x","command":"y"}}}', /line 1: the key "command" is there twice/);
  });

  it("makes no change whose result would mean anything else", () => {
    const text = '{"mcpServers":{"a":{"command":"x","args":["y"]},"b":{"command":"z"}}}';
    const source = { text, language: "json" as const };
    const span = (word: string) => ({ start: text.indexOf(word), end: text.indexOf(word) + word.length });
    const edit = { ...span('"x"'), text: '"holdfast"' };
    const wanted = [["mcpServers", "a"], { command: "holdfast", args: ["y"] }] as [
      string[],
      { command: string; args: string[] },
    ];
    assert.equal(checked(source, [edit], [wanted]), text.replace('"x"', '"holdfast"'));
    for (const wrong of [
      { ...span('"y"'), text: '"n"' },
      { ...span('"z"'), text: '"n"' },
      { ...span(',"b"'), text: ',"c"' },
    ])
      assert.throws(() => checked(source, [edit, wrong], [wanted]), /would not mean what it should/);
  });

  it("the check can fail: the generated TOML is TOML, and a lost argument is seen", () => {
    const random = new Random(seed);
    for (let round = 0; round < 50; round += 1) assert.ok(parseToml(randomToml(random).text));
    const config: RandomConfig = { text: "", stdio: { a: { command: "x", args: ["y"] } }, other: [] };
    const lost = { mcpServers: { a: { command: "holdfast", args: ["run", "--", "x"] } } };
    assert.throws(() => checkWrapped(config, lost, ["mcpServers"], ["holdfast"]));
  });
});
