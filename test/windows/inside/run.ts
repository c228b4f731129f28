/** `holdfast run` on Windows: transparent while all is well, and nothing left however anybody dies. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { after, describe, it } from "node:test";
import { nastyArguments } from "../../platform/windows-rules/nasty-arguments.ts";
import { readUntil } from "../../helpers/read-until.ts";
import { until } from "../../helpers/until.ts";
import { main } from "../program.ts";
import { hidingIn, isLive, pidsIn } from "./trees.ts";

const directory = String.raw`C:\läufe und mehr`;
mkdirSync(directory);
const node = process.execPath;

const started: ChildProcess[] = [];
after(() => {
  for (const child of started) child.kill("SIGKILL");
});

/** Detached, or libuv's own job would end it with this process and turn failures green. */
function start(words: readonly string[], stdio: StdioOptions = ["pipe", "pipe", "pipe"]): ChildProcess {
  const child = spawn(node, words, { stdio, detached: true, windowsHide: true });
  if (stdio !== "ignore") child.stdin?.on("error", () => {});
  started.push(child);
  return child;
}
const run = (words: readonly string[], options: readonly string[] = []) =>
  start([...main, "run", ...options, "--", ...words]);

async function codeOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) await once(child, "exit");
  return child.exitCode;
}

const nothingOf = (file: string) =>
  until(`nothing of ${file} is left`, () => pidsIn(file).every((pid) => !isLive(pid)), { boundMs: 10_000 });

let count = 0;
/** The words of a tree that hides, and the file in which it lists itself. */
function hiding(name: string): { file: string; words: string[] } {
  const file = join(directory, `${name}-${++count}.txt`);
  const { command, args } = hidingIn(file, name);
  return { file, words: [command, ...args] };
}

describe("holdfast run is transparent", () => {
  for (const code of [0, 7, 0xc000_0005])
    it(`passes on the command's exit code ${code}`, async () => {
      assert.equal(await codeOf(run([node, "-e", `process.exit(${code})`])), code);
    });

  it("has 127 for a command that is not there, and 2 for a wrong option", async () => {
    const missing = run(["no-such-command-anywhere"]);
    assert.match(await text(missing.stderr!), /no-such-command-anywhere: command not found/);
    assert.equal(await codeOf(missing), 127);
    assert.equal(await codeOf(run(["x"], ["--nonsense"])), 2);
  });

  it("carries every byte of stdin and stdout, and the end of both", async () => {
    const child = run([node, "-e", "process.stdin.pipe(process.stdout)"]);
    const sent = randomBytes(1_000_000);
    child.stdin!.end(sent);
    assert.ok((await buffer(child.stdout!)).equals(sent));
    assert.equal(await codeOf(child), 0);
  });

  it("gives the command its own stderr and adds nothing to it", async () => {
    const child = run([node, "-e", "process.stderr.write('mine'); process.exit(3)"]);
    assert.equal(await text(child.stderr!), "mine");
    assert.equal(await codeOf(child), 3);
  });

  it("hands on the 20 nasty arguments", async () => {
    const script = join(directory, "echo arguments.js");
    writeFileSync(script, "console.log(JSON.stringify(process.argv.slice(2)))");
    const child = run([node, script, ...nastyArguments]);
    assert.deepEqual(JSON.parse(await text(child.stdout!)), nastyArguments);
  });
});

describe("nothing is left of a tree that hides", () => {
  for (const name of ["double-fork", "cleared-double-fork", "deaf"]) {
    it(`by ${name}, when the wrapper is killed`, async () => {
      const { file, words } = hiding(name);
      const child = run(words);
      await readUntil(child.stdout, "ready");
      assert.ok(pidsIn(file).filter(isLive).length >= 2);
      child.kill("SIGKILL");
      await nothingOf(file);
    });

    it(`by ${name}, when the caller is killed`, async () => {
      const { file, words } = hiding(name);
      const line = JSON.stringify([...main, "run", "--", ...words]);
      const caller = start([
        "-e",
        `require("node:child_process").spawn(process.execPath, ${line}, { stdio: "inherit", detached: true })`,
      ]);
      await readUntil(caller.stdout, "ready");
      assert.ok(pidsIn(file).filter(isLive).length >= 2);
      caller.kill("SIGKILL");
      await nothingOf(file);
    });
  }

  it("by double-fork, when the command ends", async () => {
    const { file, words } = hiding("double-fork");
    const child = run(words);
    await readUntil(child.stdout, "ready");
    process.kill(pidsIn(file)[0]!, "SIGKILL");
    assert.notEqual(await codeOf(child), 0);
    await nothingOf(file);
  });

  it("when another process named by --kill-with ends", async () => {
    const other = start(["-e", "setInterval(() => {}, 1000)"], "ignore");
    const { file, words } = hiding("double-fork");
    const child = run(words, ["--kill-with", String(other.pid)]);
    await readUntil(child.stdout, "ready");
    other.kill("SIGKILL");
    assert.equal(await codeOf(child), 137);
    await nothingOf(file);
  });

  it("and nothing is started for a --kill-with that is not there", async () => {
    const gone = start(["-e", ""], "ignore");
    const { pid = 0 } = gone;
    await codeOf(gone);
    const child = run([node, "-e", "console.log('started')"], ["--kill-with", String(pid)]);
    assert.equal(await text(child.stdout!), "");
    assert.notEqual(await codeOf(child), 0);
  });
});
