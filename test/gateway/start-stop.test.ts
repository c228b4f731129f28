/** The front begins on every address or says why not, and ends without leaving anybody hanging. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it } from "node:test";
import { exchange, open } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { until } from "../helpers/until.ts";
import { startTalk, Talk } from "../mcp/helpers/talk.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";

const exitOf = async (keeper: FakeKeeper) => {
  if (keeper.front.exitCode === null && keeper.front.signalCode === null) await once(keeper.front, "exit");
  return keeper.front.exitCode;
};

describe("the front", () => {
  leavesNothing();

  it("listens on every address on one and the same port", async () => {
    await using keeper = await FakeKeeper.start({ config: { bind: ["127.0.0.1", "::1", "127.0.0.2"] } });
    const ports = new Set(keeper.urls.map((url) => new URL(url).port));
    assert.deepEqual([keeper.urls.length, ports.size], [3, 1]);
    for (const url of keeper.urls) assert.equal((await exchange(`${url}/readyz`)).status, 200, url);
  });

  it("goes on without an IPv6 address that the machine does not have, and says so", async () => {
    // An address of the documentation range stands for a machine without IPv6: the system's answer is the same.
    await using keeper = await FakeKeeper.start({ config: { bind: ["127.0.0.1", "2001:db8::1"] } });
    assert.equal(keeper.urls.length, 1);
    keeper.front.disconnect();
    assert.match(await keeper.stderr, /address_skipped.*2001:db8::1/);
  });

  it("says which address to leave out when one of `bind` has another one in it", async () => {
    const both = { config: { port: 0, bind: ["127.0.0.1", "0.0.0.0"] } };
    await assert.rejects(
      FakeKeeper.start(both),
      /0\.0\.0\.0 is every address, including 127\.0\.0\.1: omit 127\.0\.0\.1/,
    );
  });

  it("refuses an address with a zone, which its URL could not have", async () => {
    await assert.rejects(FakeKeeper.start({ config: { bind: ["::1%lo"] } }), /`bind`: ::1%lo has a zone/);
  });

  it("names the key, the address and the remedy when the port is taken, and ends with 1", async () => {
    const other = net.createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as net.AddressInfo;
    try {
      await assert.rejects(FakeKeeper.start({ config: { port } }), (error: Error) => {
        assert.match(error.message, new RegExp(`\`port\`: 127\\.0\\.0\\.1 port ${port} is taken; .*--port N`));
        return true;
      });
      await using keeper = new FakeKeeper({ config: { port, bind: ["127.0.0.1", "::1"] } });
      assert.equal(await exitOf(keeper), 1);
      assert.deepEqual(
        keeper.heard.filter(({ type }) => type !== "heartbeat").map(({ type }) => type),
        ["failed"],
      );
    } finally {
      other.close();
      await once(other, "close");
    }
  });

  it("ends at once when its keeper is gone, with connections open", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const stream = await talk.listen();
    const closed = once(stream.response, "close").catch(() => {});
    keeper.front.disconnect();
    assert.equal(await exitOf(keeper), 1);
    await closed;
  });

  it("does not end on the signals that reach a whole terminal or service", async () => {
    await using keeper = await FakeKeeper.start();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) keeper.front.kill(signal);
    assert.equal((await exchange(`${keeper.url}/healthz`)).status, 200);
  });

  it("drains: streams end, new work is refused, a call in flight hears how its server ended, idle sockets are closed", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const stream = await talk.listen();
    const call = talk.steps([{ hear: ["method", "never"] }]);
    await until("the call is in flight", async () => (await talk.heard()).some((one) => one.method === "do"), {
      boundMs: 5000,
    });
    // A request that has begun before the drain, and gets its answer during it.
    const { port } = new URL(keeper.url);
    const socket = net.connect(Number(port), "127.0.0.1");
    await once(socket, "connect");
    let heard = "";
    socket
      .setEncoding("latin1")
      .on("data", (chunk: string) => (heard += chunk))
      .on("error", () => {});
    socket.write(`POST /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n`);
    await exchange(`${keeper.url}/healthz`);

    const exited = exitOf(keeper);
    keeper.tell({ type: "drain", reason: "shutdown" });
    assert.equal(await stream.next(), undefined);
    socket.write("Content-Type: application/json\r\nContent-Length: 0\r\n\r\n");
    await once(socket, "close");
    assert.match(heard, /^HTTP\/1\.1 503/);
    const [run] = keeper.runs.values();
    run?.child.kill("SIGTERM");
    assert.match((await call).messages[0]?.error?.message ?? "", /MCP server "s" was ended by SIGTERM/);
    assert.equal(await exited, 0);
    await assert.rejects(exchange(`${keeper.url}/healthz`));
  });

  it("drains for a restart without waiting for servers, and resets who stays", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const call = talk.steps([{ hear: ["method", "never"] }]);
    await until("the call is in flight", async () => (await talk.heard()).some((one) => one.method === "do"), {
      boundMs: 5000,
    });
    // A request whose body never comes is at work, not idle: nothing but a reset ends it in time.
    const half = net.connect(Number(new URL(keeper.url).port), "127.0.0.1").on("error", () => {});
    await once(half, "connect");
    const head = `POST /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
    half.write(`${head}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n`);
    // "100 Continue": the front has begun to read.
    await once(half, "data");
    const began = performance.now();
    keeper.tell({ type: "drain", reason: "restart" });
    assert.match((await call).messages[0]?.error?.message ?? "", /front is being restarted/);
    assert.equal(await exitOf(keeper), 0);
    assert.ok(performance.now() - began < 2500, "within a bounded time");
    half.destroy();
  });

  it("keeps serving the others when one client opens connections and says nothing", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const { port } = new URL(keeper.url);
    const idle = Array.from({ length: 200 }, () => net.connect(Number(port), "127.0.0.1").on("error", () => {}));
    await Promise.all(idle.map((socket) => once(socket, "connect")));
    assert.equal((await talk.steps([{ answer: "fine" }])).messages[0]?.result, "fine");
    for (const socket of idle) socket.destroy();
    await Promise.all(idle.map((socket) => once(socket, "close")));
  });

  it("lets a client that reads nothing not hold up another session", async () => {
    const { keeper, talk } = await startTalk();
    await using _ = keeper;
    const other = new Talk(talk.url);
    await other.initialize();
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "do", params: { steps: [{ big: 12_000_000 }] } });
    const unread = await open(talk.url, { method: "POST", headers: talk.headers(), body, boundMs: 15_000 });
    for (let round = 0; round < 20; round++)
      assert.equal((await other.steps([{ answer: round }])).messages[0]?.result, round);
    unread.destroy();
  });
});
