/** `holdfast mcp` on Windows: a client's session hangs on this process, and ends with it. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { main } from "../program.ts";

const initialize = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "ünder wine", version: "1" } },
};

function start(words: readonly string[]): ChildProcess {
  return spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"], detached: true, windowsHide: true });
}

async function firstLine(child: ChildProcess): Promise<Record<string, unknown>> {
  const [line] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
  return JSON.parse(line) as Record<string, unknown>;
}

describe("holdfast mcp", () => {
  it("passes a session on, and ends with 0 when its client ends its input", async () => {
    const shim = start([...main, "mcp"]);
    shim.stdin!.write(`${JSON.stringify(initialize)}\n`);
    const answer = await firstLine(shim);
    assert.equal(answer["id"], 1);
    assert.ok(answer["result"]);
    shim.stdin!.end();
    const [code] = (await once(shim, "exit")) as [number];
    assert.equal(code, 0);
  });

  it("ends when its client is killed", async () => {
    const line = JSON.stringify([...main, "mcp"]);
    const options = '{ stdio: ["pipe", "inherit", "inherit"], detached: true }';
    const client = start([
      "-e",
      `const shim = require("node:child_process").spawn(process.execPath, ${line}, ${options});
      process.stdin.pipe(shim.stdin); setInterval(() => {}, 1000)`,
    ]);
    client.stdin!.write(`${JSON.stringify(initialize)}\n`);
    assert.ok((await firstLine(client))["result"]);
    client.kill("SIGKILL");
    await once(client.stdout!, "close"); // the shim had it, too
  });
});
