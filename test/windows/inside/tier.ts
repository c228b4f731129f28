/** The tier in short, for each node.exe: one that runs unpatched is too old for the suites. */
import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { it } from "node:test";
import { platform } from "../../../src/platform/index.ts";

const boundMs = 10_000;
const env = { SystemRoot: process.env["SystemRoot"] ?? "", PATH: process.env["PATH"] ?? "" };
const stubborn = String.raw`C:\holdfast\test\windows\server.cjs`;

it("starts a command in a job, talks to it, and ends all of its tree", async () => {
  const { epoch } = platform.open("0123456789abcdef", 1, { directory: String.raw`C:\bin`, only: "job" });
  const container = epoch.create("r1-1");
  const { stdin, stdout, exit } = await container.spawn({
    command: process.execPath,
    args: [stubborn, "tier", "stubborn"],
    env,
  });
  assert.ok(stdin !== null && stdout !== null);
  const answered = new Promise<string>((resolve) => stdout.once("data", (chunk: Buffer) => resolve(chunk.toString())));
  stdin.write('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"字"}}}\n');
  assert.match(await answered, /"text":"字"/);
  stdin.end();
  const members = container.list();
  assert.ok(members.length > 1, `${members.length} processes`);
  assert.deepEqual(await container.end(boundMs), []);
  assert.deepEqual(await exit, { code: null, signal: "SIGKILL" });
  for (const { pid } of members) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});

it("passes on output and exit code", async () => {
  const container = platform.contain("0123456789abcdef", "r1-2");
  const script = "process.stdout.write('a'.repeat(1_000_000)); process.exitCode = 3_221_225_477";
  const { stdout, exit } = await container.spawn({ command: process.execPath, args: ["-e", script], env });
  assert.ok(stdout !== null);
  assert.equal((await text(stdout)).length, 1_000_000);
  assert.deepEqual(await exit, { code: 0xc000_0005, signal: null });
  assert.deepEqual(await container.end(boundMs), []);
});
