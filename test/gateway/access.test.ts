/** The parsing behind "who may call": what looks like us and is not, is refused. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostName } from "../../src/gateway/access.ts";

describe("a Host header", () => {
  it("is read as one canonical name or address", () => {
    for (const [header, name] of [
      ["localhost", "localhost"],
      ["LocalHost:4653", "localhost"],
      ["127.0.0.1:1", "127.0.0.1"],
      ["[::1]:4653", "[::1]"],
      ["[0:0:0:0:0:0:0:1]", "[::1]"],
      ["gate.example", "gate.example"],
    ] as const) {
      assert.equal(hostName(header), name, header);
    }
  });

  it("is none when it is anything but host[:port]", () => {
    for (const header of [
      "",
      "a b",
      "localhost:",
      "localhost:99999",
      "localhost:80:80",
      "user@localhost",
      "localhost/x",
      "[::1",
      "::1",
      "[::1]x",
      "[1.2.3.4]",
      "localhost,evil.com",
      "http://localhost",
      "[::ffff:zz]",
      "local\thost",
    ]) {
      assert.equal(hostName(header), undefined, header);
    }
  });
});
