/** Many sessions on many servers, ended in every way: the processes are as many as were promised, and none is left. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { countedServers, inLanes, nothingLeft, runsOf, sessionsOf, startsAtOnce, visitor } from "../helpers/crowd.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { many } from "../helpers/long.ts";
import { McpClient } from "../helpers/mcp-client.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { anyTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

leavesNothing();
const tier = anyTier();
const boundMs = 20_000;
const stop = { stdinGraceMs: 500, termGraceMs: 500 };

async function withGateway(
  config: (marks: string) => object,
  action: (gateway: Gateway, marks: string) => Promise<void>,
): Promise<void> {
  await using home = new Home(tier);
  const marks = join(home.directory, "marks");
  writeFileSync(marks, "", { mode: 0o666 });
  home.configure({ stop, ...config(marks) });
  await using gateway = await Gateway.start(home);
  await action(gateway, marks);
}

describe("a crowd of sessions", { timeout: patiently(120_000) }, () => {
  const sessions = many(16, 50);
  const children = many(14, 40);
  const forgotten = 5;
  const servers = 4;

  it(`${sessions} sessions × ${servers} servers end half by DELETE, half by vanishing: one tree each, none is left, few start at once`, async () => {
    const config = (marks: string) => ({
      mcpServers: countedServers(servers, marks),
      session: { idleLeaseMs: 1500 },
      limits: { startsMax: 3 },
    });
    await withGateway(config, async (gateway, marks) => {
      const clients: McpClient[] = [];
      const listening: Disposable[] = [];
      await inLanes(sessions, 8, async () => {
        const client = await visitor(gateway, servers);
        // Who listens is present: its lease cannot run out while the others are still being opened.
        listening.push(await client.listen());
        clients.push(client);
      });
      assert.equal(await runsOf(gateway), sessions * servers);
      const half = clients.splice(0, sessions / 2);
      await Promise.all(half.map(async (client) => assert.ok((await client.delete()) < 300)));
      for (const client of [...half, ...clients]) client[Symbol.dispose]();
      for (const stream of listening) stream[Symbol.dispose]();
      await nothingLeft(gateway);
      assert.ok(startsAtOnce(marks) <= 3, `${startsAtOnce(marks)} at once`);
      assert.ok(startsAtOnce(marks) > 1, "they do start side by side");
    });
  });

  it(`with share: "pool" the same ${sessions} sessions, ended in the same ways, have ${servers} trees in all`, async () => {
    const config = (marks: string) => ({
      mcpServers: countedServers(servers, marks, { share: "pool" }),
      session: { idleLeaseMs: 1500 },
    });
    await withGateway(config, async (gateway) => {
      const clients: McpClient[] = [];
      const listening: Disposable[] = [];
      await inLanes(sessions, 8, async () => {
        const client = await visitor(gateway, servers);
        listening.push(await client.listen());
        clients.push(client);
      });
      assert.equal(await runsOf(gateway), servers);
      const half = clients.splice(0, sessions / 2);
      await Promise.all(half.map((client) => client.delete()));
      assert.equal(await runsOf(gateway), servers, "the others still have them");
      for (const one of [...half, ...clients, ...listening]) one[Symbol.dispose]();
      await nothingLeft(gateway);
    });
  });

  it(`${children} child sessions × 3 servers, as fast as they come: never more than are open, and none outlives the parent`, async () => {
    const lanes = 6;
    await withGateway(
      (marks) => ({ mcpServers: countedServers(3, marks) }),
      async (gateway) => {
        using parent = await visitor(gateway, 3);
        let most = 0;
        const left: McpClient[] = [];
        const began = performance.now();
        await inLanes(children, lanes, async (n) => {
          const child = await visitor(gateway, 3, { "x-holdfast-parent": parent.sessionId ?? "" });
          most = Math.max(most, await runsOf(gateway));
          // The last few are forgotten, as subagents are; their parent's end is theirs.
          if (n < children - forgotten) await child.delete();
          else left.push(child);
          child[Symbol.dispose]();
        });
        const perSecond = Math.round((children * 1000) / (performance.now() - began));
        console.log(`    ${perSecond} child sessions per second, at most ${most} runs at once`);
        assert.ok(most <= (1 + lanes + left.length) * 3, `${most} runs`);
        assert.equal((await sessionsOf(gateway)).length, 1 + forgotten);
        assert.ok((await parent.delete()) < 300);
        await nothingLeft(gateway);
      },
    );
  });

  it("a session that ends while its server is starting leaves nothing, whoever ended it and however", async () => {
    const slow = (marks: string) => ({
      mcpServers: { s1: { command: "sh", args: [fixture("counted-server.sh"), marks, "600"] } },
      limits: { startsMax: 8 },
    });
    await withGateway(slow, async (gateway, marks) => {
      const begin = () => {
        const client = new McpClient(`${gateway.url}/mcp`, gateway.token);
        return { client, first: client.initialize().catch(() => undefined) };
      };
      const started = (count: number) =>
        until("it is starting", () => startsAtOnce(marks) >= count && true, { boundMs });
      const vanished = begin();
      await started(1);
      vanished.client[Symbol.dispose]();
      await vanished.first;
      await nothingLeft(gateway);
      const ended = begin();
      await until("a session", async () => (await sessionsOf(gateway)).length === 1, { boundMs });
      await until("a run", async () => (await runsOf(gateway)) === 1, { boundMs });
      await gateway.rpc("session.end", { id: (await sessionsOf(gateway))[0]?.id });
      await ended.first;
      ended.client[Symbol.dispose]();
      await nothingLeft(gateway);
    });
  });

  it("a call in flight whose client disappears is cancelled at its server, and the next one goes through", async () => {
    await withGateway(
      () => ({
        mcpServers: {
          s1: { command: process.execPath, args: [fixture("../mcp/helpers/actor-server.ts"), "s1", "do"] },
        },
      }),
      async (gateway) => {
        using client = new McpClient(`${gateway.url}/mcp`, gateway.token);
        await client.initialize();
        const lost = client.call("s1__do", { wait: "never" }, 1500).catch(() => "gone");
        assert.equal(await lost, "gone");
        const heard = async () => JSON.stringify((await client.call("s1__heard")).result);
        await until("it hears of it", async () => (await heard()).includes("notifications/cancelled"), { boundMs });
        await client.delete();
      },
    );
  });

  it("a client without sessions has its servers by its scope, in header or address, until its lease or DELETE", async () => {
    const config = (marks: string) => ({ mcpServers: countedServers(1, marks), session: { idleLeaseMs: 1000 } });
    await withGateway(config, async (gateway) => {
      const scoped = (headers: Record<string, string>, query = "") =>
        new McpClient(`${gateway.url}/mcp${query}`, gateway.token, 4, headers);
      using one = scoped({ "x-holdfast-scope": "agent-1" });
      using same = scoped({}, "?scope=agent-1");
      using other = scoped({ "x-holdfast-scope": "agent-2" });
      for (const client of [one, same, other]) assert.match(JSON.stringify(await client.call("s1__echo")), /Echo/);
      assert.equal(one.sessionId, undefined, "no session id is given out");
      assert.deepEqual([await runsOf(gateway), (await sessionsOf(gateway)).length], [2, 2]);
      assert.ok((await same.delete()) < 300);
      await until("one is left", async () => (await runsOf(gateway)) === 1, { boundMs });
      await nothingLeft(gateway);
      await assert.rejects(scoped({ "x-holdfast-scope": "a b" }).call("s1__echo"), /HTTP 400.*a scope is/);
      // A child ends with its parent, whatever it does itself.
      await other.initialize();
      const [parent] = await sessionsOf(gateway);
      using child = scoped({ "x-holdfast-scope": "agent-3", "x-holdfast-parent": parent?.id ?? "" });
      await child.call("s1__echo");
      await other.delete();
      await nothingLeft(gateway);
    });
  });
});
