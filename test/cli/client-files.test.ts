/** `wrap` and `unwrap` as a person calls them. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { holdfast, livesInItsOwnHome, mainFile, path, put, read, stdio } from "../helpers/own-home.ts";
import { root } from "../helpers/tiers.ts";

livesInItsOwnHome();

/** Where each client looks, with what moves the place. */
const places: [file: string, keys: string[], env?: Record<string, string>][] = [
  [".claude.json", ["mcpServers"]],
  ["elsewhere/.claude.json", ["mcpServers"], { CLAUDE_CONFIG_DIR: "elsewhere" }],
  [".config/Claude/claude_desktop_config.json", ["mcpServers"]],
  ["project/.mcp.json", ["mcpServers"]],
  [".cursor/mcp.json", ["mcpServers"]],
  ["project/.cursor/mcp.json", ["mcpServers"]],
  [".config/Code/User/mcp.json", ["servers"]],
  ["xdg/Code/User/mcp.json", ["servers"], { XDG_CONFIG_HOME: "xdg" }],
  ["project/.vscode/mcp.json", ["servers"]],
  [".copilot/mcp-config.json", ["mcpServers"]],
  [".openclaw/openclaw.json", ["mcp", "servers"]],
  ["claw/openclaw.json", ["mcp", "servers"], { OPENCLAW_STATE_DIR: "claw" }],
  [".gemini/settings.json", ["mcpServers"]],
];

describe("holdfast wrap", () => {
  leavesNothing();

  it("finds the files of every client where they are, and where a variable says they are", () => {
    const nest = (keys: string[]) => keys.reduceRight<object>((inner, key) => ({ [key]: inner }), stdio("x"));
    for (const [file, keys] of places) put(file, nest(keys));
    put(".codex/config.toml", '[mcp_servers.x]\ncommand = "npx"\nargs = ["-y", "x"]\n');
    const { code, stdout } = holdfast(["wrap", "--yes", "--json"]);
    assert.equal(code, 0);
    const written = (JSON.parse(stdout) as { file: string; written: boolean }[]).filter((one) => one.written);
    const expected = places.filter(([, , env]) => env === undefined).map(([file]) => path(file));
    assert.deepEqual(written.map(({ file }) => file).toSorted(), [...expected, path(".codex/config.toml")].toSorted());
    for (const [file, , env] of places.filter((place) => place[2] !== undefined)) {
      const given = Object.fromEntries(Object.entries(env ?? {}).map(([name, value]) => [name, path(value)]));
      assert.equal(holdfast(["wrap", "--yes"], given).code, 0);
      assert.match(read(file), /"run",\s+"--",\s+"npx"/, file);
    }
  });

  it("from the sources of a checkout writes down the build", () => {
    const file = put("project/.mcp.json", { mcpServers: stdio("x") });
    const words = [join(root, "src/main.ts"), "wrap", file, "--yes"];
    const env = { PATH: "/usr/bin:/bin", HOME: path() };
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8", timeout: 30_000, env });
    assert.equal(status, 0, stderr);
    const { mcpServers } = JSON.parse(read("project/.mcp.json")) as { mcpServers: { x: { args: string[] } } };
    assert.deepEqual(mcpServers.x.args.slice(0, 3), [join(root, "dist/main.js"), "run", "--"]);
  });

  it("writes nothing without a yes, and says so", () => {
    const file = put("project/.mcp.json", { mcpServers: stdio("x") });
    const before = read("project/.mcp.json");
    const unasked = holdfast(["wrap", file]);
    assert.deepEqual([unasked.code, read("project/.mcp.json")], [1, before]);
    assert.match(unasked.stdout, /^\+.*"run",$/m);
    assert.match(unasked.stderr, /nothing was written: .*--yes/);
    const looked = holdfast(["wrap", file, "--dry-run"]);
    assert.deepEqual([looked.code, read("project/.mcp.json"), looked.stderr], [0, before, ""]);
    assert.deepEqual(readdirSync(path("project")), [".mcp.json"]);
  });

  it("asks at a terminal, and only a yes writes", { skip: needs("script") }, () => {
    const file = put("project/.mcp.json", { mcpServers: stdio("x") });
    const before = read("project/.mcp.json");
    for (const [answer, isWritten] of [
      ["n", false],
      ["", false],
      ["y", true],
    ] as const) {
      const { stdout } = spawnSync(
        "script",
        ["-qec", `exec ${process.execPath} ${mainFile} wrap ${file}`, "/dev/null"],
        {
          encoding: "utf8",
          input: `${answer}\n`,
          timeout: 30_000,
          env: { PATH: "/usr/bin:/bin", HOME: path(), TERM: "dumb" },
        },
      );
      assert.match(stdout, /Write this\? \[y\/N\]/);
      assert.equal(read("project/.mcp.json") !== before, isWritten, `${answer}: ${stdout}`);
    }
  });

  it("spells Holdfast by its name when PATH leads to this installation, else by full paths", () => {
    const command = () =>
      (JSON.parse(read("project/.mcp.json")) as { mcpServers: { x: { command: string } } }).mcpServers.x.command;
    const file = put("project/.mcp.json", { mcpServers: stdio("x") });
    assert.equal(holdfast(["wrap", file, "--yes"]).code, 0);
    assert.equal(command(), process.execPath);
    assert.equal(holdfast(["unwrap", file, "--yes"]).code, 0);
    mkdirSync(path("bin"));
    symlinkSync(mainFile, path("bin/holdfast"));
    const onPath = { PATH: path("bin") };
    assert.equal(holdfast(["wrap", file, "--yes"], onPath).code, 0);
    assert.equal(command(), process.execPath, "the word would be started by whatever node is first on PATH");
    assert.equal(holdfast(["unwrap", file, "--yes"]).code, 0);
    symlinkSync(process.execPath, path("bin/node"));
    assert.equal(holdfast(["wrap", file, "--yes"], onPath).code, 0);
    assert.equal(command(), "holdfast");
    const other = put("other/holdfast", "another program");
    const first = { PATH: `${path("other")}:${path("bin")}` };
    assert.equal(holdfast(["unwrap", file, "--yes"]).code, 0);
    assert.equal(holdfast(["wrap", file, "--yes"], first).code, 0);
    assert.equal(command(), "holdfast", "what cannot be started is passed by, as a client would");
    chmodSync(other, 0o755);
    assert.equal(holdfast(["unwrap", file, "--yes"]).code, 0);
    assert.equal(holdfast(["wrap", file, "--yes"], first).code, 0);
    assert.equal(command(), process.execPath, "the first holdfast on PATH is another one");
  });

  it("with one broken, huge or read-only file among several changes none of them", () => {
    put(".cursor/mcp.json", { mcpServers: stdio("x") });
    const broken = put("project/.mcp.json", '{"mcpServers": {"x": {"command": }}}');
    const before = read(".cursor/mcp.json");
    const failed = holdfast(["wrap", "--yes"]);
    assert.equal(failed.code, 1);
    assert.equal(
      failed.stderr,
      `holdfast: ${broken}, line 1: a value is missing; the file must be JSON, with or without comments; nothing was changed\n`,
    );
    assert.equal(read(".cursor/mcp.json"), before);
    put("project/.mcp.json", { mcpServers: stdio("x") });
    chmodSync(path("project/.mcp.json"), 0o400);
    chmodSync(path(".cursor/mcp.json"), 0o400);
    const refused = holdfast(["wrap", "--yes"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /read-only; chmod u\+w it first; nothing was changed/);
    assert.deepEqual([readdirSync(path(".cursor")), readdirSync(path("project"))], [["mcp.json"], [".mcp.json"]]);
  });

  it("says where it looked when there is nothing, and what is wrong with a name that is no client's", () => {
    const none = holdfast(["wrap", "--client", "gemini"]);
    assert.equal(none.code, 1);
    assert.ok(none.stderr.includes(path(".gemini/settings.json")), none.stderr);
    assert.equal(holdfast(["wrap", "--client", "emacs"]).code, 2);
  });

  it("takes a large file in its stride", () => {
    const history = Array.from({ length: 20_000 }, (_, index) => ({
      display: `said ${index} \\ "quoted" {[`,
      n: index,
    }));
    const file = put(".claude.json", { history, mcpServers: { ...stdio("x"), ...stdio("y") } });
    const before = readFileSync(file);
    assert.ok(before.length > 1_000_000);
    assert.equal(holdfast(["wrap", "--client", "claude", "--yes"]).code, 0);
    assert.equal(holdfast(["unwrap", "--client", "claude", "--yes"]).code, 0);
    assert.ok(readFileSync(file).equals(before));
  });

  it("what was wrapped runs: the client's own words start the server, held", async () => {
    const file = put("project/.mcp.json", { mcpServers: { x: { command: "cat", args: [] } } });
    assert.equal(holdfast(["wrap", file, "--yes"]).code, 0);
    const { mcpServers } = JSON.parse(read("project/.mcp.json")) as {
      mcpServers: { x: { command: string; args: string[] } };
    };
    const child = spawn(mcpServers.x.command, mcpServers.x.args, {
      stdio: "pipe",
      env: { PATH: "/usr/bin:/bin", HOME: path() },
    });
    child.stdin.end("through");
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    await once(child, "close");
    assert.equal(String(said), "through");
  });
});
