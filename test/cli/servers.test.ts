/** `import`, `add`, `remove` and `list` as a person calls them. */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { holdfast, livesInItsOwnHome, path, put, read } from "../helpers/own-home.ts";

const ownFile = ".local/state/holdfast/holdfast.json";
const ours = () => JSON.parse(read(ownFile)) as { mcpServers: Record<string, unknown> };

livesInItsOwnHome();

describe("the servers of holdfast.json", () => {
  leavesNothing();

  it("that the gateway would start elsewhere, or could not start, are named when they are taken over", () => {
    put("project/here.js", "");
    const file = put("project/.mcp.json", {
      mcpServers: {
        whole: { command: "sh", args: ["-c", "exec cat", "not/here"] },
        missing: { command: "no-such-program" },
        off: { command: "no-such-program", disabled: true },
        dots: { command: "sh", args: ["../x.sh"] },
        file: { command: "sh", args: ["here.js"] },
        program: { command: "bin/tool" },
        placed: { command: "sh", args: ["../x.sh"], cwd: "/" },
        misplaced: { command: "sh", cwd: "sub" },
      },
    });
    const { code, stdout, stderr } = holdfast(["import", file, "--json"]);
    assert.equal(code, 0, stdout);
    const notes = Object.fromEntries(
      (JSON.parse(stdout) as { name: string; notes: string[] }[]).map((one) => [one.name, one.notes.join()]),
    );
    assert.deepEqual([notes["whole"], notes["off"], notes["placed"]], ["", "", ""]);
    assert.match(
      stderr,
      /^holdfast: missing cannot be started yet: mcpServers\.missing\.command: no-such-program is not/m,
    );
    assert.doesNotMatch(stderr, /: off cannot/);
    for (const [name, word] of Object.entries({
      dots: "../x.sh",
      file: "here.js",
      program: "bin/tool",
      misplaced: "sub",
    }))
      assert.ok(
        notes[name]?.startsWith(`${word} is relative to where the client starts it`),
        `${name}: ${notes[name]}`,
      );
  });

  it("come from every client's form; what is not taken over is said", () => {
    put(".claude.json", {
      mcpServers: {
        a: { type: "stdio", command: "npx", args: ["${PKG:-x}"], env: { K: "${K}" }, alwaysAllow: ["*"] },
        held: { command: "holdfast", args: ["run", "--", "uvx", "y"] },
        "bad name": { command: "x", cwd: 7, alwaysAllow: [] },
        line: { command: "npx -y x", args: [] },
      },
      projects: { "/p": { mcpServers: { a: { command: "other" } } } },
    });
    const claude = holdfast(["import", "--client", "claude"]);
    assert.equal(claude.code, 1);
    assert.match(
      claude.stdout,
      /mcpServers\.a: taken over\n {4}alwaysAllow \(which tools run without asking\) is the client's own setting and was left out/,
    );
    assert.match(claude.stdout, /"bad name": refused: cwd: expected text, found a number/);
    assert.match(
      claude.stdout,
      /mcpServers\.line: refused: its command is a whole command line; write the program into/,
    );
    assert.equal(claude.stdout.match(/alwaysAllow/g)?.length, 1, "of what is refused nothing was left out");
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
    assert.equal(holdfast(["add", "c", "--", "sh", "--token", "s3cret", "postgres://u:s3cret@h/d"]).code, 0);
    const remote = ["add", "r", "--url", "https://example.com/sse", "--type", "sse", "--header", "X-Key: s3cret"];
    assert.equal(holdfast(remote).code, 0);
    const listed = holdfast(["list"]);
    assert.deepEqual(listed.stdout.split("\n"), [
      "a    sh",
      "b    npx -y -- --json                 KEY",
      "c    sh --token … postgres://u:…@h/d",
      "r    https://example.com/sse          X-Key",
      "",
    ]);
    const all = JSON.parse(holdfast(["list", "--json"]).stdout) as Record<string, unknown>;
    assert.deepEqual(all["b"], { command: "npx", args: ["-y", "--", "--json"], env: { KEY: "s3=cret" }, cwd: "/" });
    assert.deepEqual(all["r"], { type: "sse", url: "https://example.com/sse", headers: { "X-Key": "s3cret" } });
    for (const name of ["b", "c", "r"]) assert.equal(holdfast(["remove", name]).code, 0);
    assert.deepEqual(JSON.parse(holdfast(["list", "--json"]).stdout), { a: { command: "sh" } });
    assert.match(read(ownFile), /\/\/ mine[^]*\/\/ whichever[^]*\/\/ first/);
  });

  it("are refused with a word when they would make no valid config, and the file stays as it is", () => {
    put(ownFile, { mcpServers: { a: { command: "sh" } } });
    const before = read(ownFile);
    for (const [words, code, said] of [
      [["add", "a", "--", "x"], 2, /has a server a already/],
      [["add", "", "--", "x"], 2, /a server needs a name/],
      [["add", "b"], 2, /either a command after --, or --url/],
      [["add", "b", "--url", "example.com/mcp"], 2, /example\.com\/mcp is not an http or https URL/],
      [["add", "b", "--type", "sse", "--", "x"], 2, /--type goes with --url/],
      [["add", "b", "--", "holdfast", "mcp"], 2, /holdfast mcp leads to this gateway, which cannot be its own server/],
      [["add", "b", "npx", "-y", "x"], 2, /unknown option '-y'\n\(a command's own options come after --/],
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
