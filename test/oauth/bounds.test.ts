/** An authorization server that answers without end: it is read no further than an answer may be long. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { boundedFetch } from "../../src/oauth/sdk.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { RawRemote } from "../mcp/helpers/raw-remote.ts";

leavesNothing();

const head =
  "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
const chunked = (piece: string) => `${piece.length.toString(16)}\r\n${piece}\r\n`;

describe("an answer to the OAuth client", { timeout: patiently(60_000) }, () => {
  it("that never ends is cut off after a mebibyte, as is one of ever so many pieces", async () => {
    for (const piece of [chunked("x".repeat(65_536)), chunked("x").repeat(1000)]) {
      await using remote = await RawRemote.start(({ socket, flood }) => {
        socket.write(head);
        flood(piece);
      });
      const response = await boundedFetch(remote.url);
      await assert.rejects(response.text(), /longer than 1048576 bytes, or in more than 16384 pieces/);
      await until("it is hung up on", () => remote.open === 0, { boundMs: 10_000 });
      assert.ok(remote.sentBytes < 64 * 1024 * 1024, `${remote.sentBytes} bytes were taken`);
    }
  });

  it("of an ordinary length is read as it is, and one that nobody reads is let go", async () => {
    await using remote = await RawRemote.start(({ path, socket, reply, flood }) => {
      if (path === "/short") return reply(200, "application/json", '{"issuer":"me"}', "connection: close\r\n");
      socket.write(head);
      flood(chunked("x".repeat(65_536)));
    });
    assert.deepEqual(await (await boundedFetch(`${remote.origin}/short`)).json(), { issuer: "me" });
    const endless = await boundedFetch(remote.url);
    assert.equal(endless.headers.get("content-type"), "application/json");
    await endless.body?.cancel();
    await until("it is hung up on", () => remote.open === 0, { boundMs: 10_000 });
  });
});
