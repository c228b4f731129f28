/** Handles of ours and of what we start. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { before, describe, it } from "node:test";
import { platform } from "../../../src/platform/index.ts";
import { windows } from "../../../src/platform/windows/ffi.ts";
import type { Epoch } from "../../../src/platform/types.ts";

const program = join(import.meta.dirname, "..", "handles.cjs");
const { handlesOf } = createRequire(import.meta.url)(program) as { handlesOf: (pid: number) => number[] };
const env = { SystemRoot: process.env["SystemRoot"] ?? "", PATH: process.env["PATH"] ?? "" };
const boundMs = 10_000;
/** So many that none of a fresh process has such a high value by chance. */
const inheritable = 500;
const rounds = 50;

function openInheritable(): Disposable {
  const system = windows();
  const handles = Array.from({ length: inheritable }, () => {
    const handle = system.CreateFileW("NUL", 0x8000_0000, 3, null, 3, 0, 0);
    system.SetHandleInformation(handle, 1, 1);
    return handle;
  });
  return {
    [Symbol.dispose]() {
      for (const handle of handles) system.CloseHandle(handle);
    },
  };
}

describe("handles on Windows", () => {
  let epoch: Epoch;
  let runs = 0;
  before(() => {
    ({ epoch } = platform.open("0123456789abcdef", 1, { directory: "C:\\bin" }));
  });

  async function run(args: string[]): Promise<string> {
    runs += 1;
    const container = epoch.create(`r1-${runs}`);
    const spawned = await container.spawn({ command: process.execPath, args, env });
    if (spawned.stdout === null) throw new Error("no stdout");
    const output = await text(spawned.stdout);
    assert.equal((await spawned.exit).code, 0);
    assert.deepEqual(await container.end(boundMs), []);
    return output.trim();
  }

  it("a command inherits its three and none of our others, whoever made them inheritable", async () => {
    using _open = openInheritable();
    const inherited = (output: string) => Number(output.split(" ")[1]);
    const byNode = spawnSync(process.execPath, [program], { encoding: "utf8", windowsHide: true });
    assert.ok(inherited(byNode.stdout) > inheritable / 2, `a start that inherits shows it: ${byNode.stdout}`);
    const byUs = inherited(await run([program]));
    assert.ok(byUs <= 3, `${byUs} inherited`);
  });

  it(`none stays of ${rounds} runs, and none of refused starts`, async () => {
    const refused = async () => {
      runs += 1;
      const container = epoch.create(`r1-${runs}`);
      const request = { command: String.raw`C:\windows\system.ini.exe`, args: [], env };
      await assert.rejects(container.spawn(request), /cannot start/);
      assert.deepEqual(await container.end(boundMs), []);
    };
    for (let index = 0; index < 5; index += 1) await run(["-e", "0"]);
    await refused();
    const first = handlesOf(process.pid).length;
    for (let index = 0; index < rounds; index += 1) await run(["-e", "0"]);
    await refused();
    assert.equal(handlesOf(process.pid).length, first);
  });
});
