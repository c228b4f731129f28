/** What a process is called is shown in its own letters, to `ps` and to `doctor`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { it } from "node:test";
import { platform } from "../../src/platform/index.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";

leavesNothing();

for (const word of ["plain", "grüße", "東京", "🦊", "two words"])
  it(`an argument ${word}`, async () => {
    const child = spawn("sh", ["-c", "echo; read line", word], { stdio: ["pipe", "pipe", "inherit"] });
    const exited = once(child, "exit");
    try {
      await once(child.stdout, "data");
      assert.equal(platform.processes.command(child.pid ?? 0), `sh -c echo; read line ${word}`);
    } finally {
      child.stdin.end();
      await exited;
    }
  });
