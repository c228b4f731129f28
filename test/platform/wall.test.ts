/** The platform as other rooms load it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const parts = ["index", "become", "self/index", "self/private-file"].map((name) =>
  join(root, `src/platform/${name}.ts`),
);

/** Runs a module under the permissions of a front, which may load no addon and start no process. */
function asFront(source: string): { status: number | null; stderr: string } {
  const flags = ["--permission", "--allow-fs-read=*", "--input-type=module", "-e", source];
  return spawnSync(process.execPath, flags, { encoding: "utf8" });
}

const imports = parts.map((file) => `await import(${JSON.stringify(file)});`).join("\n");

it("loading the platform loads no addon and starts nothing, so that a front may; looks need none either", () => {
  const { status, stderr } = asFront(`${imports}
    const { platform } = await import(${JSON.stringify(parts[0])});
    const { ownUsage } = await import(${JSON.stringify(parts[2])});
    if (platform.identify(process.pid) === undefined || !(ownUsage().descriptors > 0)) process.exitCode = 3;`);
  assert.deepEqual([status, stderr], [0, ""]);
});

it("and what needs an addon is refused there, so the check above can fail", () => {
  const { status, stderr } = asFront(`
    const { platform } = await import(${JSON.stringify(parts[0])});
    platform.signal(platform.identify(process.pid), "SIGCONT");`);
  assert.notEqual(status, 0);
  assert.match(stderr, /ERR_DLOPEN_DISABLED|addon/i);
});
