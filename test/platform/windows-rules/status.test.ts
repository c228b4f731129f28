/** Exit codes of Windows in words. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { describeExitCode } from "../../../src/platform/exit-code.ts";
import { describeStatus, isStatus } from "../../../src/platform/windows-rules/status.ts";

it("a crash is named, whether its code is written as positive or as negative", () => {
  const words = "read or wrote memory that it must not (access violation); status 0xc0000005";
  assert.equal(describeStatus(0xc000_0005), words);
  assert.equal(describeStatus(-1_073_741_819), words);
  assert.match(describeStatus(0xc000_013a) ?? "", /Ctrl\+C.*0xc000013a/);
  assert.match(describeStatus(0x8000_0003) ?? "", /breakpoint.*0x80000003/);
});

it("is told after the code, and nothing is told of a code of Unix", () => {
  assert.equal(describeExitCode(0xc000_00fd), "exit code 3221225725 (its stack overflowed; status 0xc00000fd)");
  for (let code = 0; code < 256; code += 1) assert.equal(describeExitCode(code), `exit code ${code}`);
});

it("an unknown status is shown as reference pages write it", () => {
  assert.equal(describeStatus(0xc000_9999), "status 0xc0009999");
});

it("a program's own code is nothing that the system says", () => {
  for (const code of [0, 1, 2, 126, 127, 137, 255, 259, 1816]) assert.equal(isStatus(code), false, String(code));
  assert.equal(describeStatus(1), undefined);
});
