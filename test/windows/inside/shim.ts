/** `holdfast mcp` as clients start it: a session lasts as long as the process that they hold, and not longer. */
import assert from "node:assert/strict";
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { it } from "node:test";
import { watchCaller } from "../../../src/platform/self/index.ts";

const { HOLDFAST_TEST_MAIN: main = "", HOLDFAST_TEST_STATE: state = "" } = process.env;
const info = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "client", version: "1" } };

interface Shim {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  ask(method: string, params: unknown): Promise<Record<string, unknown>>;
}

function start(): Shim {
  const words = [main, "--state", state, "mcp", "--server", "stubborn"];
  const child = spawn(process.execPath, words, {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
    windowsHide: true,
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let last = 0;
  return {
    child,
    async ask(method, params) {
      last += 1;
      child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: last, method, params })}\n`);
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error(`no answer to ${method}`);
        const message = JSON.parse(value) as { id?: number; result?: Record<string, unknown> };
        if (message.id === last) return message.result ?? {};
      }
    },
  };
}

async function converse(shim: Shim): Promise<void> {
  await shim.ask("initialize", info);
  shim.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`);
  const { content } = await shim.ask("tools/call", { name: "echo", arguments: { message: "häß" } });
  assert.deepEqual(content, [{ type: "text", text: "häß" }]);
}

it("serves a client until its input ends", async () => {
  const shim = start();
  await converse(shim);
  shim.child.stdin.end();
  assert.deepEqual(await once(shim.child, "exit"), [0, null]);
});

it("answers after the end of its client's input", async () => {
  const shim = start();
  await converse(shim);
  const asked = shim.ask("tools/call", { name: "late", arguments: { message: "late" } });
  shim.child.stdin.end();
  assert.deepEqual((await asked)["content"], [{ type: "text", text: "late" }]);
  assert.deepEqual(await once(shim.child, "exit"), [0, null]);
});

it("serves a client until it is killed", async () => {
  const shim = start();
  await converse(shim);
  shim.child.kill("SIGKILL");
  await once(shim.child, "exit");
});

it("knows its caller from a later process with the caller's number", async () => {
  // The process that started this one is Linux's.
  Object.defineProperty(process, "ppid", { value: process.pid, configurable: true });
  assert.equal(watchCaller()(), false);
  const later = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000); console.log(1)"], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
    windowsHide: true,
  });
  try {
    await once(later.stdout, "data");
    Object.defineProperty(process, "ppid", { value: later.pid });
    assert.equal(watchCaller()(), true);
  } finally {
    later.kill("SIGKILL");
    await once(later, "exit");
  }
});
