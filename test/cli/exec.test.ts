/** What `holdfast exec` and `nodes run` say before a gateway is asked. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { mainFile } from "../helpers/program.ts";

/** The words are shell's, so that they can hold all bytes. */
function saidTo(words: string) {
  const line = `exec "$0" "$1" --state "$2" ${words}`;
  const state = join(tmpdir(), "holdfast-no-gateway-here");
  const { status, stderr } = spawnSync("bash", ["-c", line, process.execPath, mainFile, state], {
    encoding: "utf8",
    timeout: 20_000,
  });
  return { status, stderr };
}

it("a command with bytes that are not UTF-8 is refused, not changed, wherever they stand", () => {
  for (const words of [
    "exec -- echo $'\\xff\\xfe'",
    "exec --env $'K=\\xe9' -- true",
    "exec --cwd $'/tmp/\\xff' -- true",
    "nodes run mill -- echo $'a\\x80b'",
  ]) {
    const { status, stderr } = saidTo(words);
    assert.match(stderr, /bytes that are not UTF-8 text.*put it into a file or a script$/m, words);
    assert.equal(status, 2, words);
  }
});

it("a command with the character U+FFFD itself is text like any other", () => {
  const { stderr } = saidTo("exec -- echo $'\\xef\\xbf\\xbd' ünï");
  assert.match(stderr, /no gateway runs/);
});
