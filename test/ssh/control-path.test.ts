/** The sockets of ssh lie where their paths are short enough for every system. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { hasRoomForSockets } from "../../src/ssh/control-path.ts";

it("a directory has room for sockets up to the length that macOS allows, in bytes", () => {
  const path = (bytes: number) => `/${"a".repeat(bytes - 1)}`;
  assert.equal(hasRoomForSockets(path(76)), true);
  assert.equal(hasRoomForSockets(path(77)), false);
  assert.equal(hasRoomForSockets(`/${"ü".repeat(37)}`), true);
  assert.equal(hasRoomForSockets(`/${"ü".repeat(38)}`), false);
});

it("the temporary directory of a user of macOS has room for the one that stands in for a longer path", () => {
  assert.equal(hasRoomForSockets("/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T/holdfast-abcdef"), true);
});
