/** What `/metrics` says is what the operating system says, and the page of the docs names all of it. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { asConfig, stubborn } from "../helpers/servers.ts";
import { bestTier, root } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { FakeKeeper } from "./helpers/fake-keeper.ts";
import { hash } from "node:crypto";

/** `name{label="value"}` → figure. */
function parse(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

async function scrape(gateway: Gateway): Promise<Map<string, number>> {
  const { status, headers, text } = await exchange(`${gateway.url}/metrics`, {
    headers: { authorization: `Bearer ${gateway.token}` },
  });
  assert.equal(status, 200, text);
  assert.match(headers["content-type"] ?? "", /^text\/plain; version=0\.0\.4/);
  return parse(text);
}

describe("metrics", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("agree with the operating system: runs, ends, connections, descriptors, memory; and are all documented", async () => {
    await using home = new Home(bestTier());
    home.configure({
      mcpServers: asConfig({ stubborn: stubborn(home.pidFile) }),
      stop: { stdinGraceMs: 50, termGraceMs: 50 },
    });
    await using gateway = await Gateway.start(home);
    {
      using client = gateway.mcp("stubborn");
      await client.initialize();
      const figures = await scrape(gateway);
      assert.equal(figures.get('holdfast_runs{kind="mcp",state="running"}'), 1);
      assert.equal(figures.get('holdfast_sessions{kind="mcp"}'), 1);
      const { front, keeper } = gateway.pids;
      // Kept alive by the client, and the one that asks.
      assert.equal(figures.get('holdfast_connections{state="open"}'), 2);
      const rss = figures.get('holdfast_resident_memory_bytes{process="front"}') ?? 0;
      const seen = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${front}/status`, "latin1"))?.[1]) * 1024;
      assert.ok(rss > seen / 2 && rss < seen * 2, `${rss} and ${seen}`);
      for (const [process, pid] of Object.entries({ front, keeper })) {
        const told = figures.get(`holdfast_open_fds{process="${process}"}`) ?? 0;
        const open = readdirSync(`/proc/${pid}/fd`).length;
        assert.ok(Math.abs(told - open) <= 3, `${process}: told ${told}, open ${open}`);
      }
      assert.ok(figures.has('holdfast_event_loop_lag_seconds{process="keeper"}'));
      await client.delete();
    }
    const ended = async () => (await scrape(gateway)).get('holdfast_runs_ended_total{reason="session-ended"}') === 1;
    await until("the end is counted", ended, { boundMs: 10_000 });
    await exchange(`${gateway.url}/rpc`, { method: "POST", headers: { authorization: "Bearer wrong" } });
    const figures = await scrape(gateway);
    assert.equal(figures.get("holdfast_auth_failures_total"), 1);
    assert.ok((figures.get('holdfast_connections_closed_total{reason="client-left"}') ?? 0) >= 2);
    assert.equal(figures.get('holdfast_runs{kind="mcp",state="running"}'), undefined, "and none is left");
    const page = readFileSync(join(root, "docs/gateway.md"), "utf8");
    const named = [...page.matchAll(/^- `(holdfast_\w+)`/gm)].map(([, name]) => name);
    const told = [...figures.keys()].map((key) => key.split("{")[0] ?? "");
    assert.deepEqual(
      [...new Set(told)].filter((name) => !named.includes(name)),
      [],
    );
    // By label only: nothing runs now, and every server is up.
    const withoutSample = ["holdfast_runs", "holdfast_sessions", "holdfast_mcp_server_down"];
    assert.deepEqual(
      named.filter((name = "") => !told.includes(name) && !withoutSample.includes(name)),
      [],
    );
  });

  it("need a token that may look, and GET", async () => {
    const runner = {
      id: "r",
      name: "r",
      digest: hash("sha256", "may-run-only-0123456789"),
      scopes: ["run" as const],
      expiresAt: null,
    };
    const looker = {
      ...runner,
      id: "l",
      name: "l",
      digest: hash("sha256", "may-look-only-0123456789"),
      scopes: ["read" as const],
    };
    await using keeper = await FakeKeeper.start({ tokens: [runner, looker] });
    const ask = async (token: string, method = "GET") =>
      (await exchange(`${keeper.url}/metrics`, { method, headers: { authorization: `Bearer ${token}` } })).status;
    assert.equal((await exchange(`${keeper.url}/metrics`)).status, 401);
    assert.equal(await ask("may-run-only-0123456789"), 403);
    assert.equal(await ask("may-look-only-0123456789"), 200);
    assert.equal(await ask("may-look-only-0123456789", "POST"), 405);
  });
});
