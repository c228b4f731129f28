/** A client whose patience is over says that, and which limit it was; only where nothing listens does it say that no gateway is there. */
import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { GatewayClient } from "../../src/client/rpc.ts";
import { HoldfastError } from "../../src/errors.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";
import { RawRemote } from "../mcp/helpers/raw-remote.ts";

leavesNothing();

async function failure(url: string, limitMs: number): Promise<HoldfastError> {
  const client = new GatewayClient({ state: "/nowhere", url, token: "t" });
  const thrown: unknown = await client.call("gateway.ping", {}, { limitMs }).catch((error: unknown) => error);
  assert.ok(thrown instanceof HoldfastError, String(thrown));
  assert.doesNotMatch(thrown.message, /\(\d+\)/);
  return thrown;
}

describe("a call to a gateway", { timeout: patiently(60_000) }, () => {
  it("that is not answered in time names the call and the limit, before the answer begins and within it", async () => {
    await using remote = await RawRemote.start(({ path, socket }) => {
      if (path.startsWith("/begun")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{");
    });
    for (const path of ["/silent", "/begun"]) {
      const { code, message } = await failure(remote.origin + path, 200);
      assert.equal(code, "answer_late", path);
      assert.match(message, /no answer to gateway\.ping within 0\.2 s, the limit of this command/);
      assert.doesNotMatch(message, /no gateway answers/);
    }
  });

  it("where nothing listens, or what listens hangs up, says so in words", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const hungUp = await failure(url, 10_000);
    assert.equal(hungUp.code, "gateway_unreachable");
    assert.match(hungUp.message, /the connection was closed before an answer came/);
    await new Promise((resolve) => server.close(resolve));
    const refused = await failure(url, 10_000);
    assert.equal(refused.code, "gateway_unreachable");
    assert.match(refused.message, /\(nothing listens there\); start one with `holdfast gateway`/);
    // A port that the fetch standard forbids is one like others.
    assert.match((await failure("http://127.0.0.1:1", 10_000)).message, /\(nothing listens there\)/);
    assert.match((await failure("http://no-such-host.invalid", 10_000)).message, /the host was not found|looked up/);
  });
});

describe("a probe of a server that hangs", { timeout: patiently(60_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    home = new Home(bestTier());
    const sleep = { command: "/bin/sleep", args: ["1000"] };
    home.configure({
      mcpServers: { bounded: { ...sleep, connectionTimeoutMs: 500 }, endless: { ...sleep, connectionTimeoutMs: 0 } },
    });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  it("says that the server hangs, in which request, and at which limit of the config", async () => {
    const { code, stderr } = await runCommand(home, ["mcp", "probe", "bounded"]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /"bounded".*no answer to initialize within 500 ms \(mcpServers\.bounded\.connectionTimeoutMs\)/,
    );
  });

  it("says that the server hangs where the command's own limit came first", async () => {
    const { code, stderr } = await runCommand(home, ["mcp", "probe", "--timeout", "1", "endless"]);
    assert.equal(code, 1);
    assert.match(stderr, /MCP server "endless" has not come up within 1 s; it hangs/);
    assert.match(stderr, /mcpServers\.endless\.connectionTimeoutMs is its own limit, --timeout this command's/);
    assert.doesNotMatch(stderr, /no gateway answers|\(\d+\)/);
  });
});
