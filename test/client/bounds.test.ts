/** What answers at a gateway's address may be anybody: a command reads so much of it, and says what is wrong. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { GatewayClient } from "../../src/client/rpc.ts";
import { GatewaySocket } from "../../src/client/socket.ts";
import { HoldfastError } from "../../src/errors.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { RawRemote } from "../mcp/helpers/raw-remote.ts";

leavesNothing();

const chunk = Buffer.from(`10000\r\n${"x".repeat(65_536)}\r\n`);
const isUnreachable = (thrown: unknown) => thrown instanceof HoldfastError && thrown.code === "gateway_unreachable";

describe("a client of the gateway", { timeout: patiently(60_000) }, () => {
  it("reads no answer without end, and takes no list or text for one", async () => {
    await using remote = await RawRemote.start(({ path, socket, flood, reply }) => {
      if (path === "/list/rpc") return reply(200, "application/json", "[1]");
      if (path === "/null/rpc") return reply(200, "application/json", "null");
      if (path === "/text/rpc") return reply(404, "text/plain", "nothing here");
      socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
      flood(chunk);
    });
    for (const path of ["/endless", "/list", "/null", "/text"]) {
      const client = new GatewayClient({ state: "/nowhere", url: remote.origin + path, token: "t" });
      await assert.rejects(client.call("gateway.ping", {}), /instead of an answer/);
    }
    assert.ok(remote.sentBytes < 128 * 1024 * 1024, `${remote.sentBytes} bytes were taken`);
  });

  it("takes an answer that breaks off for a lost connection, which may be tried again", async () => {
    const heads = [
      "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n",
      'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"jsonrpc":',
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ];
    for (const head of heads) {
      await using remote = await RawRemote.start(({ socket }) => socket.end(head));
      const client = new GatewayClient({ state: "/nowhere", url: remote.origin, token: "t" });
      await assert.rejects(client.call("gateway.ping", {}), (thrown) => {
        assert.ok(isUnreachable(thrown));
        assert.match(String(thrown), /the connection was closed before an answer came/, head);
        return true;
      });
    }
  });

  it("ends a WebSocket on which something else than messages is said", async () => {
    for (const said of ["no JSON", "null", "7"]) {
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "holdfast.v1" });
      await once(server, "listening");
      server.on("connection", (ws) => ws.once("message", () => ws.send(said)));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const socket = await GatewaySocket.open(url, "t", { onNotification() {}, onLost() {} });
      await assert.rejects(socket.call("gateway.ping", {}), isUnreachable);
      await socket.closed;
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
