/** What the suites rely on, so that they cannot pass on another system. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { release, tmpdir } from "node:os";
import { it } from "node:test";

it("runs as a program of Windows, from C:", () => {
  assert.equal(process.platform, "win32");
  assert.match(process.cwd(), /^C:\\/);
  assert.match(tmpdir(), /^C:\\/i);
  assert.match(release(), /^10\./);
});

it("finds koffi's binary for Windows, which calls the system", () => {
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi").default;
  const ownPid = koffi.load("kernel32.dll").func("uint32 __stdcall GetCurrentProcessId()") as () => number;
  assert.equal(ownPid(), process.pid);
});
