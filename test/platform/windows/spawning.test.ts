/** How a process of Windows is created: bits that no system here can be asked about. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { creationFlags, type OwnConsole } from "../../../src/platform/windows/spawning.ts";

const noWindow = 0x800_0000;
const newConsole = 0x10;
const detached = 0x8;
const newGroup = 0x200;

it("no start opens a window: a command has a console without one, or stays in one that is there", () => {
  for (const own of ["none", "hidden", "visible"] satisfies OwnConsole[])
    for (const isInheriting of [false, true]) {
      const flags = creationFlags(own, isInheriting);
      const what = `${own}, ${isInheriting ? "inheriting" : "with pipes"}`;
      assert.equal(flags & (newConsole | detached), 0, what);
      const staysHere = own === "hidden" || (own === "visible" && isInheriting);
      assert.equal((flags & noWindow) !== 0, !staysHere, what);
      if (own === "none") assert.notEqual(flags & noWindow, 0, what);
    }
});

it("each command leads a group of its own, which alone hears its Ctrl+Break", () => {
  assert.notEqual(creationFlags("hidden", false) & newGroup, 0);
});
