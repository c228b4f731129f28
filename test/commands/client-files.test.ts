/** `wrap`, `unwrap`, `import`, `export`, `add`, `remove`, `list`, `connect` and `completion` as a person calls them. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { root } from "../helpers/tiers.ts";

const mainFile = join(root, "dist/main.js");
let home = "";
const path = (...parts: string[]) => join(home, ...parts);

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** In an almost empty environment, in a project directory of the home. */
function holdfast(words: string[], env: Record<string, string> = {}): Outcome {
  const given = { PATH: "/usr/bin:/bin", HOME: home, ...env };
  const { status, stdout, stderr } = spawnSync(process.execPath, [mainFile, ...words], {
    encoding: "utf8",
    timeout: 30_000,
    cwd: path("project"),
    env: given,
  });
  return { code: status, stdout, stderr };
}

function put(file: string, content: string | object): string {
  const whole = path(file);
  mkdirSync(dirname(whole), { recursive: true });
  writeFileSync(whole, typeof content === "string" ? content : `${JSON.stringify(content, null, 2)}\n`);
  return whole;
}

const read = (file: string) => readFileSync(path(file), "utf8");
const ownFile = ".local/state/holdfast/holdfast.json";
const ours = () => JSON.parse(read(ownFile)) as { mcpServers: Record<string, unknown> };
const stdio = (name: string) => ({ [name]: { command: "npx", args: ["-y", name] } });

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-test-")));
  mkdirSync(path("project"));
});
afterEach(() => rmSync(home, { recursive: true }));

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

  it("spells Holdfast by its name when PATH leads to this installation, else by full paths", () => {
    const command = () =>
      (JSON.parse(read("project/.mcp.json")) as { mcpServers: { x: { command: string } } }).mcpServers.x.command;
    const file = put("project/.mcp.json", { mcpServers: stdio("x") });
    assert.equal(holdfast(["wrap", file, "--yes"]).code, 0);
    assert.equal(command(), process.execPath);
    assert.equal(holdfast(["unwrap", file, "--yes"]).code, 0);
    mkdirSync(path("bin"));
    symlinkSync(mainFile, path("bin/holdfast"));
    assert.equal(holdfast(["wrap", file, "--yes"], { PATH: `${path("bin")}:/usr/bin:/bin` }).code, 0);
    assert.equal(command(), "holdfast");
    put("other/holdfast", "another program");
    assert.equal(holdfast(["unwrap", file, "--yes"]).code, 0);
    assert.equal(holdfast(["wrap", file, "--yes"], { PATH: `${path("other")}:${path("bin")}` }).code, 0);
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
    const history = Array.from({ length: 60_000 }, (_, index) => ({
      display: `said ${index} \\ "quoted" {[`,
      n: index,
    }));
    const file = put(".claude.json", { history, mcpServers: { ...stdio("x"), ...stdio("y") } });
    const before = readFileSync(file);
    assert.ok(before.length > 4_000_000);
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
      env: { PATH: "/usr/bin:/bin", HOME: home },
    });
    child.stdin.end("through");
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    await once(child, "close");
    assert.equal(String(said), "through");
  });
});

describe("the servers of holdfast.json", () => {
  leavesNothing();

  it("come from every client's form; what is not taken over is said", () => {
    put(".claude.json", {
      mcpServers: {
        a: { type: "stdio", command: "npx", args: ["${PKG:-x}"], env: { K: "${K}" }, alwaysAllow: ["*"] },
        held: { command: "holdfast", args: ["run", "--", "uvx", "y"] },
        "bad name": { command: "x" },
      },
      projects: { "/p": { mcpServers: { a: { command: "other" } } } },
    });
    const claude = holdfast(["import", "--client", "claude"]);
    assert.equal(claude.code, 1);
    assert.match(claude.stdout, /mcpServers\.a: taken over\n {4}alwaysAllow is not known to Holdfast and was left out/);
    assert.match(claude.stdout, /bad name.*refused: its name cannot be taken over: names are letters/);
    assert.match(claude.stdout, /projects.*refused: another server of that name is in the config already/);
    assert.deepEqual(ours().mcpServers, {
      a: { command: "npx", args: ["${PKG:-x}"], env: { K: "${K}" } },
      held: { command: "uvx", args: ["y"] },
    });
    assert.equal(statSync(path(ownFile)).mode & 0o777, 0o600);

    put(
      ".codex/config.toml",
      '[mcp_servers.c]\ncommand = "npx"\nenv_vars = ["TOKEN"]\nstartup_timeout_sec = 2.5\ntool_timeout_sec = 60\nenabled = false\n',
    );
    put(
      ".openclaw/openclaw.json",
      "{ mcp: { servers: { o: { command: 'npx', workingDirectory: '/', requestTimeoutMs: 5 } } } } // five",
    );
    put(".config/Code/User/mcp.json", {
      inputs: [{ id: "key", type: "promptString" }],
      servers: {
        v: { type: "stdio", command: "x", env: { K: "${env:K}" } },
        asks: { command: "x", env: { K: "${input:key}" } },
      },
    });
    for (const client of ["codex", "openclaw"]) assert.equal(holdfast(["import", "--client", client]).code, 0);
    const vscode = holdfast(["import", "--client", "vscode"]);
    assert.equal(vscode.code, 1);
    assert.match(vscode.stdout, /servers\.asks: refused: it asks a person for \$\{input:…\}/);
    assert.match(vscode.stdout, /inputs: not taken over/);
    const { c, o, v, asks } = ours().mcpServers;
    assert.deepEqual(
      [c, o, v, asks],
      [
        {
          command: "npx",
          connectionTimeoutMs: 2500,
          requestTimeoutMs: 60_000,
          enabled: false,
          env: { TOKEN: "${TOKEN:-}" },
        },
        { command: "npx", cwd: "/", requestTimeoutMs: 5 },
        { command: "x", env: { K: "${K}" } },
        undefined,
      ],
    );
    const again = holdfast(["import", "--client", "codex", "--json"]);
    assert.deepEqual([again.code, ours().mcpServers["c"]], [0, c]);
  });

  it("are added, listed and removed around what a person wrote; secrets are not listed", () => {
    const text =
      '// mine\n{\n\t"port": 0, // whichever\n\t"mcpServers": {\n\t\t"a": { "command": "sh" }, // first\n\t},\n}\n';
    put(ownFile, text);
    assert.equal(
      holdfast(["add", "b", "--env", "KEY=s3=cret", "--cwd", "/", "--", "npx", "-y", "--", "--json"]).code,
      0,
    );
    assert.match(
      read(ownFile),
      /^\/\/ mine\n\{\n\t"port": 0, \/\/ whichever\n\t"mcpServers": \{\n\t\t"a": \{ "command": "sh" \}/,
    );
    const listed = holdfast(["list"]);
    assert.deepEqual(listed.stdout.split("\n"), ["a    sh", "b    npx -y -- --json  KEY", ""]);
    const all = JSON.parse(holdfast(["list", "--json"]).stdout) as Record<string, unknown>;
    assert.deepEqual(all["b"], { command: "npx", args: ["-y", "--", "--json"], env: { KEY: "s3=cret" }, cwd: "/" });
    assert.equal(holdfast(["remove", "b"]).code, 0);
    assert.deepEqual(JSON.parse(holdfast(["list", "--json"]).stdout), { a: { command: "sh" } });
    assert.match(read(ownFile), /\/\/ mine[^]*\/\/ whichever[^]*\/\/ first/);
  });

  it("are refused with a word when they would make no valid config, and the file stays as it is", () => {
    put(ownFile, { mcpServers: { a: { command: "sh" } } });
    const before = read(ownFile);
    for (const [words, code, said] of [
      [["add", "a", "--", "x"], 2, /has a server a already/],
      [["add", "no good", "--", "x"], 1, /names are letters, digits/],
      [["add", "b"], 2, /either a command after --, or --url/],
      [["add", "b", "--env", "K", "--", "x"], 2, /K is not of the form NAME=VALUE/],
      [["remove", "z"], 1, /has no server z; it has a/],
    ] as const) {
      const { code: got, stderr } = holdfast([...words]);
      assert.equal(got, code, words.join(" "));
      assert.match(stderr, said);
    }
    assert.equal(read(ownFile), before);
    put(ownFile, "{ broken");
    assert.equal(holdfast(["add", "b", "--", "x"]).code, 1);
    assert.equal(read(ownFile), "{ broken");
  });
});
