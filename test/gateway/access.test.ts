/** The parsing behind "who may call": what looks like us and is not, is refused. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { IncomingMessage } from "node:http";
import { systemClock } from "../../src/clock.ts";
import { Access, hostName } from "../../src/gateway/access.ts";
import { MethodDispatcher } from "../../src/gateway/dispatch.ts";
import { Grants } from "../../src/gateway/grants.ts";
import type { AllHandlers } from "../../src/gateway/methods/handlers.ts";
import { Throttle } from "../../src/gateway/throttle.ts";

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

describe("an Origin header", () => {
  const judge = (allowedOrigins: string[], origin: string) => {
    const grants = new Grants([], systemClock, () => {});
    const throttle = new Throttle(() => {});
    const own = { allowedHosts: [], addresses: [], port: 4653, scheme: "http" as const };
    const access = new Access({ clock: systemClock, grants, throttle, allowedOrigins, ...own });
    const headers = { host: "localhost", origin };
    return access.screen({ headers, rawHeaders: [] } as unknown as IncomingMessage)?.status;
  };

  it("of an allowed extension or editor is that one's own, never the `null` that any sandboxed page sends", () => {
    for (const allowed of ["chrome-extension://abcdef", "vscode-webview://1x2y"]) {
      assert.equal(judge([allowed], allowed), undefined);
      for (const other of ["null", "chrome-extension://other", "file://"]) assert.equal(judge([allowed], other), 403);
    }
    assert.equal(judge(["file:///srv/page.html"], "null"), 403);
  });
});

describe("a call that is one too many", () => {
  it("is refused with its id only if that is one: another value may be too deep to be written", () => {
    const dispatcher = new MethodDispatcher({ handlers: {} as AllHandlers, announce: () => {} });
    const idOf = (id: string) => (JSON.parse(dispatcher.refuse(`{"id":${id}}`, "busy")) as { id: unknown }).id;
    assert.deepEqual(['"a"', "7", "null", "[[]]", "{}"].map(idOf), ["a", 7, null, null, null]);
    assert.equal(idOf("[".repeat(100_000) + "]".repeat(100_000)), null);
  });
});
