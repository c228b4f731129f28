/** The same clients at a gateway's /mcp: connected, dropped in order or killed, and back again after their session is over. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readListed, waitForListed, waitForZero } from "../helpers/pids.ts";
import { asConfig, everything, stubborn } from "../helpers/servers.ts";
import { anyTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { Codex } from "./helpers/codex.ts";
import { installClients } from "./helpers/install.ts";
import { NoStreamRelay } from "./helpers/no-stream.ts";
import { boundMs, Place } from "./helpers/place.ts";

const { clients, skip } = await installClients();
const tier = anyTier();
const stop = { stdinGraceMs: 200, termGraceMs: 200 };
const shortLeaseMs = 1500;
/** Longer than any test: what ends before it was not ended by it. */
const longLeaseMs = 600_000;

function makeHome(idleLeaseMs: number): Home {
  const home = new Home(tier);
  const servers = { everything: everything(home.pidFile), stubborn: stubborn(home.pidFile) };
  home.configure({ mcpServers: asConfig(servers), session: { idleLeaseMs }, stop });
  return home;
}

const sessionsOf = async (gateway: Gateway) => (await gateway.rpc("session.list")) as { id: string }[];
const noSession = (gateway: Gateway) =>
  until("no session", async () => (await sessionsOf(gateway)).length === 0, { boundMs, everyMs: 50 });

describe("Claude Code at a gateway", { skip, concurrency: 2, timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("is connected by url and bearer token, and its servers end with its lease, for it sends no DELETE", async () => {
    await using home = makeHome(shortLeaseMs);
    await using gateway = await Gateway.start(home);
    await using place = new Place();
    for (const name of ["everything", "stubborn"]) {
      const header = ["--header", `Authorization: Bearer ${gateway.token}`];
      const url = `${gateway.url}/mcp/${name}`;
      await place.run(clients.claude, ["mcp", "add", "--transport", "http", name, url, ...header]);
    }
    const said = await place.run(clients.claude, ["mcp", "list"]);
    const connected = said.split("\n").filter((line) => line.includes("Connected"));
    assert.deepEqual(new Set(connected.map((line) => line.split(":")[0])), new Set(["everything", "stubborn"]), said);
    assert.ok(readListed(home.pidFile).length >= 6, "both servers were started");
    await waitForZero(home.pidFile, boundMs);
    await noSession(gateway);
  });

  it("is not connected with a wrong token, and nothing is started for it", async () => {
    await using home = makeHome(shortLeaseMs);
    await using gateway = await Gateway.start(home);
    await using place = new Place();
    const words = ["mcp", "add", "--transport", "http", "gateway", `${gateway.url}/mcp/everything`];
    await place.run(clients.claude, [...words, "--header", "Authorization: Bearer wrong"]);
    const said = await place.run(clients.claude, ["mcp", "list"]);
    assert.doesNotMatch(said, /Connected/);
    assert.deepEqual(readListed(home.pidFile), []);
  });
});

describe("Codex at a gateway", { skip, concurrency: 3, timeout: patiently(120_000) }, () => {
  leavesNothing();
  const serversAt = (url: string) => ({
    everything: { url: `${url}/mcp/everything` },
    stubborn: { url: `${url}/mcp/stubborn` },
  });

  it("calls by url and bearer token, and its orderly end is a DELETE that ends its servers at once", async () => {
    await using home = makeHome(longLeaseMs);
    await using gateway = await Gateway.start(home);
    await using place = new Place();
    const codex = await Codex.start(place, clients.codex, serversAt(gateway.url), gateway.token);
    const thread = await codex.startThread(place.directory);
    for (const name of ["everything", "stubborn"]) {
      assert.match(await thread.call(name, "echo", { message: "hold" }), /Echo: hold/);
    }
    await waitForListed(home.pidFile, 6, boundMs);
    assert.equal(await codex.end(), 0);
    await waitForZero(home.pidFile, boundMs);
    await noSession(gateway);
  });

  it("killed -9, its servers end with its lease", async () => {
    await using home = makeHome(shortLeaseMs);
    await using gateway = await Gateway.start(home);
    await using place = new Place();
    const codex = await Codex.start(place, clients.codex, serversAt(gateway.url), gateway.token);
    const thread = await codex.startThread(place.directory);
    await thread.call("stubborn", "echo", { message: "hold" });
    await place.kill(codex.child);
    await waitForZero(home.pidFile, boundMs);
    await noSession(gateway);
  });

  it("holds its stream open, so that it is never idle while it lives", async () => {
    await using home = makeHome(shortLeaseMs);
    await using gateway = await Gateway.start(home);
    await using place = new Place();
    const codex = await Codex.start(place, clients.codex, serversAt(gateway.url), gateway.token);
    const thread = await codex.startThread(place.directory);
    await thread.call("everything", "echo", { message: "hold" });
    const before = await sessionsOf(gateway);
    await new Promise((resolve) => setTimeout(resolve, 2 * shortLeaseMs)); // nothing must happen in this time
    await thread.call("everything", "echo", { message: "fast" });
    assert.deepEqual((await sessionsOf(gateway)).map(({ id }) => id).toSorted(), before.map(({ id }) => id).toSorted());
  });

  for (const over of ["the operator ended", "its idle lease ended"] as const) {
    it(`is told 404 when ${over} its session, opens a new one by itself, and its call succeeds`, async () => {
      await using home = makeHome(over === "the operator ended" ? longLeaseMs : shortLeaseMs);
      await using gateway = await Gateway.start(home);
      await using relay = await NoStreamRelay.start(gateway.url);
      await using place = new Place();
      const server = { everything: { url: `${relay.url}/mcp/everything` } };
      const codex = await Codex.start(place, clients.codex, server, gateway.token);
      const thread = await codex.startThread(place.directory);
      await thread.call("everything", "echo", { message: "first" });
      if (over === "the operator ended") {
        for (const { id } of await sessionsOf(gateway)) await gateway.rpc("session.end", { id });
      }
      await noSession(gateway);
      await waitForZero(home.pidFile, boundMs);
      relay.passed.length = 0;
      assert.match(await thread.call("everything", "echo", { message: "second" }), /Echo: second/);
      const statuses = relay.passed.filter(({ method }) => method === "POST").map(({ status }) => status);
      assert.equal(statuses[0], 404);
      assert.ok(
        relay.passed.some(({ status, inSession }) => status === 200 && !inSession),
        "it initialized again",
      );
      assert.equal((await sessionsOf(gateway)).length, 1);
    });
  }
});
