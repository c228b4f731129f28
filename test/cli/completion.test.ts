/** The completion scripts, in the shells themselves: what they offer is what the command line takes. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";

const env = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent" };
let directory = "";

function play(program: string, words: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: "utf8", timeout: 30_000, env });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  return stdout;
}

const script = (shell: string) => join(directory, `holdfast.${shell}`);

/** What each shell offers for the last of the words. */
const offers: Record<"bash" | "fish" | "zsh", (words: string[]) => string[]> = {
  bash: (words) => {
    const array = words.map((word) => `'${word}'`).join(" ");
    const lines = `. ${script("bash")}; COMP_WORDS=(${array}); COMP_CWORD=${words.length - 1}; _holdfast; printf '%s\n' "\${COMPREPLY[@]}"`;
    return play("bash", ["--norc", "-c", lines]).trim().split("\n");
  },
  fish: (words) => {
    const line = words.join(" ");
    const said = play("fish", ["--no-config", "-c", `source ${script("fish")}; complete -C '${line}'`]);
    return said
      .trim()
      .split("\n")
      .map((one) => one.split("\t")[0] ?? "");
  },
  zsh: (words) => {
    const array = words.map((word) => `'${word}'`).join(" ");
    // The completion system's own functions, as far as the script calls them.
    const stubs =
      "compdef() { :; }; _files() { print FILES; }; _command_names() { print COMMANDS; }; compadd() { shift; print -l -- $@; }; _describe() { print -l -- ${(P)2%%:*}; }";
    const lines = `${stubs}; source ${script("zsh")}; words=(${array}); CURRENT=${words.length}; _holdfast`;
    return play("zsh", ["-f", "-c", lines]).trim().split("\n");
  },
};

describe("holdfast completion", () => {
  leavesNothing();
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-test-"));
    for (const shell of Object.keys(offers))
      writeFileSync(script(shell), play(process.execPath, [mainFile, "completion", shell]));
  });
  after(() => rmSync(directory, { recursive: true }));

  for (const shell of ["bash", "fish", "zsh"] as const) {
    it(
      `${shell}: offers commands, their own commands, options and the values of options`,
      { skip: needs(shell) },
      () => {
        const at = (...words: string[]) => offers[shell](["holdfast", ...words]);
        const has = (offered: string[], ...wanted: string[]) => {
          for (const word of wanted) assert.ok(offered.includes(word), `${word} in ${offered.join(" ")}`);
        };
        has(at(""), "gateway", "run", "wrap", "unwrap", "import", "list", "sessions");
        assert.deepEqual(
          at("sessions", "")
            .filter((word) => !word.startsWith("-"))
            .toSorted(),
          ["end", "list"],
        );
        has(at("--state", "sessions", "wrap", "-"), "--gateway", "--client", "--dry-run");
        has(at("wrap", "--client", ""), "claude", "codex", "gemini");
        const sessionsList = at("sessions", "list", "-");
        assert.ok(!sessionsList.includes("--gateway"), "another command's option");
      },
    );
  }

  it("names the shells there are when it is asked for another", () => {
    const { status, stderr } = spawnSync(process.execPath, [mainFile, "completion", "tcsh"], {
      encoding: "utf8",
      env,
    });
    assert.equal(status, 2);
    assert.match(stderr, /bash, zsh, fish/);
  });
});
