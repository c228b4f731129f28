/** A gateway with a wrong config does not start at all: one message, exit code 1, no stack, nothing made. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";

function startWith(text: string): { status: number | null; stderr: string; hasState: boolean } {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-config-"));
  try {
    const [config, state] = [join(directory, "holdfast.json"), join(directory, "state")];
    writeFileSync(config, text);
    const words = [mainFile, "gateway", "--config", config, "--state", state];
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8", timeout: 20_000 });
    return { status, stderr: stderr.replaceAll(config, "FILE"), hasState: existsSync(state) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("a gateway with a wrong config", () => {
  leavesNothing();
  it("does not start, and says in one line why", () => {
    const { status, stderr, hasState } = startWith('{ "prot": 1 }');
    assert.equal(status, 1);
    assert.match(stderr, /^holdfast: FILE: unknown key prot; [^\n]+\n$/);
    assert.equal(hasState, false, "no state directory is made");
  });

  it("shows no stack for broken JSON either", () => {
    const { status, stderr } = startWith('{ "port": ');
    assert.equal(status, 1);
    assert.match(stderr, /^holdfast: FILE, line 1, column 11: a value is expected here\n$/);
  });
});
