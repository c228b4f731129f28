/** The WebSocket speaks the API as `/rpc` does, to those who have proven who they are and to nobody else. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";
import { sendRaw, statusOf } from "./helpers/raw.ts";
import { Socket } from "./helpers/socket.ts";

leavesNothing();

describe("/ws", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    const config = { allowedOrigins: ["https://app.example"] };
    keeper = await FakeKeeper.start({
      config,
      answer: (message) =>
        message.type === "run.list" ? { type: "reply", request: message.request, result: [] } : undefined,
    });
  });
  after(() => keeper[Symbol.asyncDispose]());

  it("answers the same methods, with a bearer token in the upgrade", async () => {
    await using socket = await Socket.open(keeper.url, { token });
    assert.equal(socket.ws.protocol, "holdfast.v1");
    assert.deepEqual((await socket.call("run.list")).result, []);
    assert.equal((await socket.call("no.such")).error?.code, -32601);
    assert.equal((await socket.call("session.end", { id: 5 })).error?.code, -32602);
    socket.ws.send("{");
    assert.equal((await socket.find(({ id }) => id === null)).error?.code, -32700);
    socket.ws.send('[{"jsonrpc":"2.0","id":"a","method":"run.list"},{"jsonrpc":"2.0","id":"b","method":"run.list"}]');
    const batch = (await socket.find((answer) => Array.isArray(answer))) as unknown as { id: string }[];
    assert.deepEqual(
      batch.map(({ id }) => id),
      ["a", "b"],
    );
  });

  it("takes the token in a first message, for pages that can set no header", async () => {
    await using socket = await Socket.open(keeper.url, { headers: { origin: "https://app.example" } });
    assert.deepEqual((await socket.call("auth", { token })).result, { scopes: ["read", "run", "admin"] });
    assert.deepEqual((await socket.call("run.list")).result, []);
    assert.equal((await socket.call("auth", { token })).error?.code, -32601, "once");
  });

  it("does nothing that stands behind a refused token, and closes", async () => {
    const asked = () => keeper.heard.filter(({ type }) => type === "gateway.stop").length;
    for (const wrong of ["wrong", `${token}x`, "", 5, null, { token }, [token]]) {
      await using socket = await Socket.open(keeper.url);
      const frames = [
        { jsonrpc: "2.0", id: 1, method: "auth", params: { token: wrong } },
        { jsonrpc: "2.0", id: 2, method: "gateway.stop" },
        { jsonrpc: "2.0", id: 3, method: "auth", params: { token } },
        { jsonrpc: "2.0", id: 4, method: "gateway.stop" },
      ];
      // One write, so that all of them are there before the first is judged.
      socket.raw.cork();
      for (const frame of frames) socket.ws.send(JSON.stringify(frame));
      socket.raw.uncork();
      assert.equal((await socket.closed).code, 1008);
      assert.equal(socket.heard.length, 1);
      assert.equal(socket.heard[0]?.error?.data.code, "unauthorized");
    }
    for (const query of ["", `?token=${token}`, `?access_token=${token}`]) {
      await using socket = await Socket.open(keeper.url, { query });
      socket.ws.send('{"jsonrpc":"2.0","id":1,"method":"gateway.stop"}');
      assert.equal((await socket.closed).code, 1008, "a call before auth, whatever the URL says");
    }
    assert.equal(asked(), 0);
  });

  it("refuses upgrades that are not for it, each with its own status", async () => {
    const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    const version = "Sec-WebSocket-Version: 13\r\n";
    const protocol = "Sec-WebSocket-Protocol: holdfast.v1\r\n";
    const bearer = `Authorization: Bearer ${token}\r\n`;
    const head = (first: string, rest: string, host = "localhost") =>
      `${first} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${rest}\r\n`;
    const all = key + version + protocol + bearer;
    const cases: [string, number][] = [
      [head("POST /ws", all), 405],
      [head("GET /ws", version + protocol + bearer), 400],
      [head("GET /ws", `Sec-WebSocket-Key: short\r\n${version}${protocol}${bearer}`), 400],
      [head("GET /ws", `${key}Sec-WebSocket-Version: 8\r\n${protocol}${bearer}`), 426],
      [head("GET /ws", key + version + bearer), 400],
      [head("GET /ws", `${key}${version}Sec-WebSocket-Protocol: chat\r\n${bearer}`), 400],
      [head("GET /ws", `${key}${version}${protocol}Authorization: Bearer wrong\r\n`), 401],
      [head("GET /ws", `${key}${version}${protocol}Authorization: Basic ${token}\r\n`), 401],
      [head("GET /ws", all, "evil.com"), 403],
      [head("GET /ws", all, "127.evil.com"), 403],
      [head("GET /ws", `${all}Origin: null\r\n`), 403],
      [head("GET /ws", `${all}Origin: https://app.example.evil.com\r\n`), 403],
      [head("GET /ws", `${all}Host: localhost\r\n`), 400],
    ];
    for (const [request, status] of cases) {
      const answer = await sendRaw(keeper.url, request);
      assert.equal(statusOf(answer), status, request);
      assert.equal(answer.includes(token), false);
    }
    assert.equal((await exchange(`${keeper.url}/ws`)).status, 426, "no upgrade at all");
    const elsewhere = { headers: { authorization: `Bearer ${token}`, connection: "upgrade", upgrade: "websocket" } };
    assert.equal((await exchange(`${keeper.url}/nowhere`, elsewhere)).status, 404);
  });
});
