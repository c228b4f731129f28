/** Every way in that other gateways left open in past years is shut here. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { configSchema } from "../../src/config/schema.ts";
import { exchange, type Exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";
import { sendRaw, statusOf } from "./helpers/raw.ts";

const body = '{"jsonrpc":"2.0","id":1,"method":"session.list"}';
const good = { authorization: `Bearer ${token}`, "content-type": "application/json" };

leavesNothing();

describe("the front door", () => {
  let keeper: FakeKeeper;
  before(async () => {
    const config = {
      bind: ["127.0.0.1"],
      allowedOrigins: ["https://app.example"],
      allowedHosts: ["gate.example"],
      messageBytesMax: 4096,
      connections: { ...configSchema.parse({}).connections, headMs: 2000 },
    };
    keeper = await FakeKeeper.start({ servers: { s: { command: "false", args: [] } }, config });
  });
  after(() => keeper[Symbol.asyncDispose]());
  const call = (headers: Record<string, string>, more: Exchange = {}) =>
    exchange(`${keeper.url}/rpc`, { method: "POST", headers: { ...good, ...headers }, body, ...more });
  const port = () => new URL(keeper.url).port;

  it("opens for the token, and for nothing that is like it", async () => {
    assert.equal((await call({})).status, 200);
    assert.equal((await call({ authorization: `bearer ${token}` })).status, 200);
    const wrong = [
      "",
      "Bearer",
      "Bearer ",
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token} `.concat("x"),
      token,
      `Basic ${token}`,
      "Bearer null",
      "Bearer [object Object]",
      `Bearer ${token.toUpperCase()}`,
    ];
    for (const authorization of wrong) {
      const { status, headers } = await call({ authorization });
      assert.equal(status, 401, authorization);
      assert.match(headers["www-authenticate"] ?? "", /^Bearer /);
    }
  });

  it("does not take the token from the URL, from a cookie or from another header", async () => {
    const { authorization: _, ...without } = good;
    for (const [path, headers] of [
      [`/rpc?token=${token}`, {}],
      [`/rpc?access_token=${token}`, {}],
      ["/rpc", { cookie: `token=${token}` }],
      ["/rpc", { "x-api-key": token }],
      ["/rpc", { "proxy-authorization": `Bearer ${token}` }],
    ] as const) {
      const reply = await exchange(keeper.url + path, { method: "POST", headers: { ...without, ...headers }, body });
      assert.equal(reply.status, 401, path);
      assert.equal(reply.text.includes(token), false, "and never says it back");
    }
  });

  it("lets a connection that proved itself not go on with another token", async () => {
    const request = (bearer: string, last: string) =>
      `POST /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bearer}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${last}\r\n${body}`;
    const answer = await sendRaw(keeper.url, request(token, "") + request(`${token}x`, "Connection: close\r\n"));
    assert.deepEqual(
      [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status),
      ["200", "401"],
    );
  });

  it("answers only to its own names in Host", async () => {
    for (const host of [
      "localhost",
      `localhost:${port()}`,
      "LOCALHOST",
      `127.0.0.1:${port()}`,
      "127.9.9.9",
      "[::1]:80",
      "gate.example",
      "gate.example:443",
    ]) {
      assert.equal((await call({ host })).status, 200, host);
    }
    for (const host of [
      "evil.com",
      "127.evil.com",
      "localhost.evil.com",
      "127.0.0.1.evil.com",
      "evil-localhost",
      "127.1",
      "0x7f.0.0.1",
      "2130706433",
      "localhost@evil.com",
      "127.0.0.1:99999",
      "[::2]",
      "gate.example.evil.com",
      "notgate.example",
      "0.0.0.0",
    ]) {
      assert.equal((await call({ host })).status, 403, host);
    }
  });

  it("refuses two Host or two Authorization headers, and none", async () => {
    const request = (headers: string) =>
      `POST /rpc HTTP/1.1\r\n${headers}Content-Length: 0\r\nConnection: close\r\n\r\n`;
    const authorization = `Authorization: Bearer ${token}\r\n`;
    const ask = async (headers: string) => statusOf(await sendRaw(keeper.url, request(headers)));
    assert.equal(await ask(`Host: localhost\r\nHost: evil.com\r\n${authorization}`), 400);
    assert.equal(await ask(`Host: localhost\r\nhOST: localhost\r\n${authorization}`), 400);
    assert.equal(await ask(`Host: localhost\r\n${authorization}${authorization}`), 400);
    assert.equal(
      await ask(`Host: localhost\r\nOrigin: https://app.example\r\nOrigin: https://evil.com\r\n${authorization}`),
      400,
    );
    assert.equal(await ask(authorization), 400);
  });

  it("lets web pages in from its own and the allowed origins only", async () => {
    for (const origin of [`http://localhost:${port()}`, `http://127.0.0.1:${port()}`, "https://app.example"]) {
      const { status, headers } = await call({ origin });
      assert.deepEqual([status, headers["access-control-allow-origin"]], [200, origin]);
    }
    for (const origin of [
      "null",
      "",
      "https://evil.com",
      "http://app.example",
      "https://app.example:444",
      "https://app.example.evil.com",
      "http://localhost",
      "http://localhost:1",
      `http://localhost:${port()}.evil.com`,
      `https://localhost:${port()}`,
      "file://",
      `http://127.0.0.1:${port()}@evil.com`,
    ]) {
      const { status, headers } = await call({ origin });
      assert.deepEqual([status, headers["access-control-allow-origin"]], [403, undefined], origin);
    }
  });

  it("answers a browser's preflight for allowed origins, without a token and without doing anything", async () => {
    const preflight = (origin: string) =>
      exchange(`${keeper.url}/mcp/s`, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST" },
      });
    const allowed = await preflight("https://app.example");
    assert.equal(allowed.status, 204);
    assert.match(String(allowed.headers["access-control-allow-headers"]), /authorization.*mcp-session-id/);
    assert.equal((await preflight("https://evil.com")).status, 403);
    assert.equal(keeper.runs.size, 0);
  });

  it("says nothing about itself without a token but that it lives", async () => {
    assert.deepEqual(JSON.parse((await exchange(`${keeper.url}/healthz`)).text), { ok: true });
    assert.deepEqual(JSON.parse((await exchange(`${keeper.url}/readyz`)).text), { ok: true });
    for (const path of ["/rpc", "/mcp/s", "/mcp/nosuch"]) {
      assert.equal(
        (await exchange(keeper.url + path, { method: "POST", headers: { "content-type": "application/json" }, body }))
          .status,
        401,
        path,
      );
    }
  });

  it("lets its refusal be read although a large body is still on the way, and closes the connection", async () => {
    const large = "x".repeat(600_000);
    const head = (headers: string) =>
      `POST /mcp/s HTTP/1.1\r\nHost: localhost\r\n${headers}Content-Length: ${large.length}\r\n\r\n`;
    const unauthorized = await sendRaw(keeper.url, head("Content-Type: application/json\r\n") + large);
    assert.equal(statusOf(unauthorized), 401);
    assert.match(unauthorized, /connection: close/i);
    assert.match(unauthorized, /a bearer token is needed/);
    const tooLarge = await sendRaw(
      keeper.url,
      head(`Authorization: Bearer ${token}\r\nContent-Type: application/json\r\n`) + large,
    );
    assert.equal(statusOf(tooLarge), 413);
    assert.match(tooLarge, /messageBytesMax = 4096/);
  });

  it("cuts off a body without a declared length at the limit", async () => {
    const chunk = `800\r\n${"x".repeat(2048)}\r\n`;
    const head = `POST /mcp/s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
    assert.equal(statusOf(await sendRaw(keeper.url, head + chunk.repeat(10))), 413);
  });

  it("does not wait for ever for a slow request head", { timeout: patiently(20_000) }, async () => {
    const answer = await sendRaw(keeper.url, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", 6000);
    assert.equal(statusOf(answer), 408);
  });

  it("refuses heads that are too large or not HTTP", async () => {
    assert.equal(
      statusOf(
        await sendRaw(keeper.url, `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`),
      ),
      431,
    );
    assert.equal(statusOf(await sendRaw(keeper.url, "\u0016\u0003\u0001 hello TLS\r\n\r\n")), 400);
    const smuggled =
      "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert.equal(statusOf(await sendRaw(keeper.url, smuggled)), 400);
  });

  it("has the right word for wrong paths, methods and types", async () => {
    const ask = async (path: string, given: Exchange) => exchange(keeper.url + path, { headers: good, ...given });
    assert.equal((await ask("/", {})).status, 404);
    assert.equal((await ask("/mcpx", { method: "POST", body })).status, 404);
    assert.match((await ask("/mcp", { method: "POST", body })).text, /a session begins with an initialize request/);
    for (const path of ["/mcp//", "/mcp/s//", "/mcp/s/x", "//mcp", "/mcp/%2f"])
      assert.equal((await ask(path, { method: "POST", body })).status, 404, path);
    for (const path of ["/mcp/", "/mcp/?x=/", "/mcp/s/"])
      assert.match((await ask(path, { method: "POST", body })).text, /a session begins with an initialize/, path);
    for (const path of ["/mcp/", "/mcp/s/"]) {
      const upgrade = `GET ${path} HTTP/1.1\r\nHost: localhost:${port()}\r\nConnection: Upgrade\r\nUpgrade: holdfast-stdio\r\n`;
      const head = `${upgrade}Authorization: Bearer ${token}\r\n\r\n\x04`;
      assert.match(await sendRaw(keeper.url, head), /^HTTP\/1\.1 101 /, path);
    }
    assert.equal((await ask("/mcp/..%2frpc", { method: "POST", body })).status, 404);
    const unknown = await ask("/mcp/nosuch", { method: "POST", body });
    assert.equal(unknown.status, 404);
    assert.match(unknown.text, /nosuch.*not in the config.*available servers: s/);
    const wrongMethod = await ask("/rpc", {});
    assert.deepEqual([wrongMethod.status, wrongMethod.headers.allow], [405, "POST"]);
    const put = await ask("/mcp/s", { method: "PUT", body });
    assert.deepEqual([put.status, put.headers.allow], [405, "GET, POST, DELETE"]);
    assert.equal((await call({ "content-type": "text/plain" })).status, 415);
    assert.equal(
      (await ask("/mcp/s", { method: "POST", body, headers: { ...good, "content-type": "text/plain" } })).status,
      415,
    );
    assert.equal(
      (await ask("/mcp/s", { method: "POST", body, headers: { ...good, accept: "text/html, image/*" } })).status,
      406,
    );
    assert.equal((await ask("/mcp/s", { headers: { ...good, accept: "application/json" } })).status, 406);
    assert.equal((await ask("/mcp/s", { headers: { ...good, accept: "text/event-stream" } })).status, 400);
  });

  it("answers each kind of bad MCP body with its JSON-RPC code", async () => {
    const post = async (text: string, headers: Record<string, string> = {}) => {
      const reply = await exchange(`${keeper.url}/mcp/s`, {
        method: "POST",
        headers: { ...good, ...headers },
        body: text,
      });
      return [reply.status, (JSON.parse(reply.text) as { error: { code: number } }).error.code];
    };
    assert.deepEqual(await post("{"), [400, -32700]);
    assert.deepEqual(await post("[]"), [400, -32600]);
    assert.deepEqual(await post('[{"jsonrpc":"2.0","id":1,"method":"ping"}]'), [400, -32600]);
    assert.deepEqual(await post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}'), [400, -32600]);
    assert.deepEqual(
      await post('{"jsonrpc":"2.0","id":1,"method":"initialize"}', { "mcp-protocol-version": "9" }),
      [400, -32022],
    );
    assert.deepEqual(
      await post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', { "mcp-session-id": "guess" }),
      [404, -32001],
    );
    const latin1 = await sendRaw(
      keeper.url,
      `POST /mcp/s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"\u00c3\u0028"`,
    );
    assert.match(latin1, /-32700/);
  });
});
