/** Attacks on tokens that other gateways fell to: each reaches a naive server first, and then not ours. */
import assert from "node:assert/strict";
import http from "node:http";
import { hash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { normalAddress } from "../../src/gateway/connections/connection.ts";
import { Throttle } from "../../src/gateway/throttle.ts";
import { exchange, open, type Exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";
import { NaiveServer } from "./helpers/naive-server.ts";
import { Socket } from "./helpers/socket.ts";

const json = { "content-type": "application/json" };
const good = { ...json, authorization: `Bearer ${token}` };
const call = (method: string, params?: object) => JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
const readOnlyToken = "a-token-that-may-only-look-0123456789";

leavesNothing();

describe("a token attack", { timeout: patiently(60_000) }, () => {
  let naive: NaiveServer;
  let keeper: FakeKeeper;
  before(async () => {
    naive = await NaiveServer.start(token);
    keeper = await FakeKeeper.start({ servers: { s: { command: "false", args: [] } } });
  });
  after(async () => {
    await naive[Symbol.asyncDispose]();
    await keeper[Symbol.asyncDispose]();
  });

  /** The status with which each of the two answers the same request. */
  async function both(given: Exchange, path = "/rpc"): Promise<{ naive: number; ours: number }> {
    const request = { method: "POST", body: call("session.list"), ...given };
    const [first, second] = await Promise.all([
      exchange(naive.url + path, request),
      exchange(keeper.url + path, request),
    ]);
    return { naive: first.status, ours: second.status };
  }

  it("by a header that is there and has no value, or the word for nothing", async () => {
    for (const authorization of ["Bearer ", "Bearer undefined"])
      assert.deepEqual(await both({ headers: { ...json, authorization } }), { naive: 200, ours: 401 }, authorization);
  });

  it("by a token that is no string", async () => {
    for (const given of [[token], true])
      assert.deepEqual(
        await both({ headers: json, body: call("session.list", { token: given }) }),
        { naive: 200, ours: 401 },
        JSON.stringify(given),
      );
  });

  it("by a token in the URL, which then stands in a log", async () => {
    assert.deepEqual(await both({ headers: json }, `/rpc?token=${token}`), { naive: 200, ours: 401 });
    assert.ok(naive.logged.includes(token));
    const wrong = await exchange(`${keeper.url}/nowhere?token=${token}`, { method: "POST", headers: good });
    assert.equal(wrong.text.includes(token), false, "nor is it said back");
  });

  it("by headers that only a proxy of ours could set, and by scopes that the client declares", async () => {
    for (const claim of [{ "x-forwarded-for": "127.0.0.1" }, { "x-holdfast-scopes": "admin" }] as Record<
      string,
      string
    >[]) {
      assert.deepEqual(
        await both({ headers: { ...json, ...claim } }),
        { naive: 200, ours: 401 },
        JSON.stringify(claim),
      );
    }
    // What a client says of itself in the parameters is an unknown parameter, not a right.
    const declared = await exchange(`${keeper.url}/rpc`, {
      method: "POST",
      headers: { ...good, "x-holdfast-scopes": "admin", forwarded: "for=127.0.0.1" },
      body: call("session.list", { scopes: ["admin"] }),
    });
    assert.match(declared.text, /-32602/);
  });

  it("by a page of another site that posts what needs no preflight, with the browser's cookies", async () => {
    const crossSite = { origin: "https://evil.example", cookie: "session=1", "content-type": "text/plain" };
    const stop = { headers: crossSite, body: call("gateway.stop") };
    assert.deepEqual(await both(stop), { naive: 200, ours: 403 });
    // Without the Origin, and even with the token: a form cannot send what is asked for here.
    const { origin: _, ...form } = crossSite;
    const answers = await both({ ...stop, headers: { ...form, authorization: `Bearer ${token}` } });
    assert.deepEqual(answers, { naive: 200, ours: 415 });
    assert.equal(
      keeper.heard.some(({ type }) => type === "gateway.stop"),
      false,
      "nothing was stopped",
    );
  });

  it("by a thousand wrong tokens, to shut the right one out", async () => {
    const flood = async (url: string) => {
      const statuses = new Set<number>();
      for (let round = 0; round < 20; round++) {
        const replies = Array.from({ length: 50 }, (_, n) =>
          exchange(`${url}/rpc`, {
            method: "POST",
            headers: { ...json, authorization: `Bearer wrong-${round}-${n}` },
            body: "{}",
          }),
        );
        for (const { status } of await Promise.all(replies)) statuses.add(status);
      }
      return [...statuses].toSorted((a, b) => a - b);
    };
    assert.deepEqual(await flood(naive.url), [401, 429]);
    assert.deepEqual(await flood(keeper.url), [401, 429]);
    assert.deepEqual(await both({ headers: good }), { naive: 429, ours: 200 }, "the right token after them");
    const wrong = await exchange(`${keeper.url}/rpc`, {
      method: "POST",
      headers: { authorization: "Bearer x" },
      body: "{}",
    });
    assert.equal(wrong.status, 429);
    assert.ok(Number(wrong.headers["retry-after"]) > 0);
    assert.equal(wrong.headers.connection, "close");
  });

  it("by going on with a connection whose token was revoked: kept alive, or a WebSocket", async () => {
    const revocable = "a-token-that-will-be-revoked-0123456789";
    const digest = hash("sha256", revocable);
    const grant = { id: "r", name: "r", digest, scopes: ["read" as const, "run" as const], expiresAt: null };
    const root = { id: "first", name: "first", digest: "00".repeat(32), scopes: ["admin" as const], expiresAt: null };
    await using own = await FakeKeeper.start({ servers: { s: { command: "cat", args: [] } }, tokens: [grant] });
    const headers = { ...json, authorization: `Bearer ${revocable}` };
    await using other = await NaiveServer.start(revocable);
    // The naive one forgets the token and goes on feeding the stream.
    const stream = await open(other.url, { headers });
    other.revoke(revocable);
    assert.equal((await exchange(other.url, { method: "POST", headers })).status, 401);
    assert.equal(stream.destroyed, false);
    stream.destroy();

    const agent = new http.Agent({ keepAlive: true });
    try {
      const ask = { method: "POST", headers, body: call("session.list"), agent };
      assert.equal((await exchange(`${own.url}/rpc`, ask)).status, 200);
      const [kept] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
      assert.ok(kept !== undefined, "a connection that is kept alive");
      const closed = new Promise((resolve) => kept.once("close", resolve));
      kept.on("error", () => {}); // it is reset: that is the point
      await using bearer = await Socket.open(own.url, { token: revocable });
      await using first = await Socket.open(own.url);
      const { result } = await first.call("auth", { token: revocable });
      assert.deepEqual(result, { scopes: ["read", "run"] });
      const began = performance.now();
      own.tell({ type: "tokens", tokens: [root] });
      await Promise.all([closed, bearer.closed, first.closed]);
      assert.ok(performance.now() - began < 1000, "in under a second");
      assert.equal((await exchange(`${own.url}/rpc`, { ...ask, agent: new http.Agent() })).status, 401);
    } finally {
      agent.destroy();
    }
  });

  it("by a token that may look, on what it may not do", async () => {
    const look = {
      id: "look",
      name: "look",
      digest: hash("sha256", readOnlyToken),
      scopes: ["read" as const],
      expiresAt: null,
    };
    const past = {
      ...look,
      id: "past",
      name: "past",
      digest: hash("sha256", "an-expired-token-0123456789"),
      expiresAt: Date.now() - 1,
    };
    await using own = await FakeKeeper.start({ servers: { s: { command: "cat", args: [] } }, tokens: [look, past] });
    const ask = async (path: string, method: string, secret = readOnlyToken) => {
      const headers = { ...json, authorization: `Bearer ${secret}`, accept: "application/json, text/event-stream" };
      const { status, text } = await exchange(own.url + path, { method: "POST", headers, body: call(method) });
      return `${status} ${text}`;
    };
    assert.match(await ask("/rpc", "session.list"), /^200 .*"result":\[\]/);
    assert.match(await ask("/rpc", "gateway.stop"), /^200 .*needs a token with the scope \\"admin\\"/);
    assert.match(await ask("/mcp/s", "initialize"), /^403 .*scope \\"run\\"/);
    assert.match(await ask("/rpc", "session.list", "an-expired-token-0123456789"), /^401 /);
    assert.equal(
      own.heard.some(({ type }) => type === "gateway.stop" || type === "run.start"),
      false,
    );
  });
});

describe("the throttle", () => {
  it("has one key for every way to write this machine, and one for a whole IPv6 network", () => {
    for (const address of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
      assert.equal(normalAddress(address), "loopback", address);
    assert.equal(normalAddress("::ffff:10.1.2.3"), normalAddress("10.1.2.3"));
    assert.equal(normalAddress("2001:db8::1"), normalAddress("2001:db8:0:0:ffff::2"));
    assert.notEqual(normalAddress("2001:db8::1"), normalAddress("2001:db8:0:1::1"));
  });

  it("tells of each address once a window, forgets, and does not grow for ever", () => {
    const told: string[] = [];
    const throttle = new Throttle((address) => told.push(address));
    for (let n = 0; n < 100; n++) throttle.failed("::1", 1000);
    assert.deepEqual(told, ["loopback"]);
    assert.equal(throttle.failed("127.0.0.1", 1000), 60_000, "the wait, in milliseconds");
    assert.equal(throttle.failed("10.0.0.1", 1000), 0, "another one is not concerned");
    assert.equal(throttle.failed("::1", 62_000), 0, "a new window");
    for (let n = 0; n < 20_000; n++) throttle.failed(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 1000);
    assert.equal(throttle.size, 10_000);
  });
});
