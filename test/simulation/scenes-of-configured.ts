/** Named scenes of the configured servers: how they stand, what a probe tells, reloads, and clients without a session. */
import { ask, call, killFront, lifeOf, must, mustAnswer, open, refusalOf, tookMs, type Status } from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import { oldRevision } from "./rich-server.ts";
import { richConfig, Talk } from "./talk.ts";
import type { World } from "./world.ts";

interface ServerView {
  readonly name: string;
  readonly kind: string;
  readonly share: string;
  readonly enabled: boolean;
  readonly problem: string | null;
  readonly breaker: string;
  readonly failures: number;
  readonly lastFailure: string | null;
  readonly poolHolders: number;
  readonly poolRuns: readonly string[];
}

interface Change {
  readonly added: string[];
  readonly removed: string[];
  readonly changed: string[];
  readonly unchanged: string[];
  readonly needsRestart: string[];
  readonly unavailable: object[];
}

async function viewOf(world: World, name: string): Promise<ServerView> {
  return (await ask<ServerView[]>(world, "mcp.status")).find((each) => each.name === name)!;
}

const named = (world: World, command: string) => world.servants.filter((each) => each.command === command).length;

/** A call of a client without a session. */
async function scoped(world: World, scope: string, method: string, params: object = {}) {
  const body = { jsonrpc: "2.0", id: 5, method, params };
  const { status, body: got } = await world.client().send("POST", "/mcp/a", body, { "x-holdfast-scope": scope }).answer;
  return { status, body: got };
}

export const configuredScenes: Record<string, PromiseScene> = {
  "the state of each server is told, and a probe leaves nothing": {
    config: {
      mcpServers: { ...richConfig.mcpServers, off: { command: "mcp", enabled: false }, bad: { command: "nothing" } },
    },
    play: async (world) => {
      const shared = await Talk.begin(world, "/mcp/shared");
      await shared.text("fine");
      const { kind, share, breaker, failures, poolHolders, poolRuns, problem } = await viewOf(world, "shared");
      must(
        kind === "stdio" && share === "pool" && breaker === "closed" && failures === 0,
        JSON.stringify({ kind, share, breaker }),
      );
      must(poolHolders === 1 && poolRuns.length === 1 && problem === null, `${poolHolders} hold ${poolRuns.join()}`);
      must(!(await viewOf(world, "off")).enabled, "a server that is off");
      const probed = await ask<{
        tools: string[];
        prompts: string[];
        resources: string[];
        serverInfo: { name: string };
        ms: number;
      }>(world, "mcp.probe", { server: "a" });
      must(
        probed.serverInfo.name === "a" && probed.tools.includes("fine") && probed.ms >= 0,
        JSON.stringify(probed).slice(0, 300),
      );
      must(
        probed.prompts.includes("greet") && probed.resources.includes("mem://a/a"),
        JSON.stringify(probed).slice(-300),
      );
      await world.until("a probe leaves nothing", () => named(world, "rich-mcp a") === 0, 10_000);
      must((await ask<Status>(world, "gateway.status")).sessions === 1, "a probe leaves its session");
      must((await refusalOf(world, "mcp.probe", { server: "none" })) === "server_unknown", "a server that is none");
      must((await refusalOf(world, "mcp.probe", { server: "off" })) !== undefined, "a server that is off is probed");
      for (let failure = 1; failure <= 5; failure += 1) {
        must(
          (await refusalOf(world, "mcp.probe", { server: "bad" })) !== undefined,
          "a server that cannot start is probed",
        );
        const now = await viewOf(world, "bad");
        must(now.failures === failure && now.lastFailure !== null, `${now.failures} failures of ${failure}`);
        must(now.breaker === (failure < 5 ? "waiting" : "open"), `after ${failure} failures it is ${now.breaker}`);
        await world.clock.sleep(500 * 2 ** failure);
      }
      must((await open(world, "/mcp/off")) === "", "a session with a server that is off");
      must((await open(world, "/mcp/none")) === "", "a session with a server that is none");
    },
  },
  "a reload tells what has changed, and a wrong one changes nothing": {
    config: richConfig,
    play: async (world) => {
      const [kept, pooled] = [await Talk.begin(world, "/mcp/a"), await Talk.begin(world, "/mcp/shared")];
      await pooled.text("fine");
      const { site } = world;
      const reload = (mcpServers: object, more: object = {}) => {
        site.config = { ...site.config, ...more, mcpServers };
        return ask<Change>(world, "mcp.reload");
      };
      const same = await reload(richConfig.mcpServers);
      must(
        same.unchanged.toSorted().join() === "a,b,shared" &&
          same.changed.length + same.added.length + same.removed.length === 0,
        JSON.stringify(same),
      );
      const { b: _, shared, a } = richConfig.mcpServers;
      const next = await reload(
        { a, shared: { ...shared, args: ["t"] }, c: { command: "rich-mcp", args: ["c"] } },
        { startsMax: 3 },
      ).catch(() => undefined);
      must(next === undefined, "a config with an unknown key is taken");
      site.config = { exec: { enabled: true }, limits: { startsMax: 3 } };
      const change = await reload({
        a,
        shared: { ...shared, args: ["t"] },
        c: { command: "rich-mcp", args: ["c"] },
      });
      must(
        change.added.join() === "c" && change.removed.join() === "b" && change.changed.join() === "shared",
        JSON.stringify(change),
      );
      must(
        change.unchanged.join() === "a" && change.needsRestart.join() === "limits.startsMax",
        JSON.stringify(change),
      );
      must((await kept.text("fine")) === "a fine {}", "an unchanged server has lost its session");
      await world.until("the old one is gone", () => named(world, "rich-mcp s") === 0, 10_000);
      const { status } = await call(world, "/mcp/shared", pooled.id, "fine");
      must(status === 404 || (await pooled.text("fine")) === "t fine {}", `a changed server: ${status}`);
      const fresh = await Talk.begin(world, "/mcp/shared");
      must((await fresh.text("fine")) === "t fine {}", "a new session has the old server");
      await killFront(world);
      must(
        (await fresh.text("fine")) === "t fine {}" && (await kept.text("fine")) === "a fine {}",
        "the next front has an older config",
      );
      must(lifeOf(world).platform.own.isAlive, "a reload ends the keeper");
    },
  },
  "a reload answers when what left the config is gone": {
    config: { mcpServers: { ...richConfig.mcpServers, deaf: { command: "deaf-mcp" } } },
    play: async (world) => {
      const session = await open(world, "/mcp/deaf");
      await mustAnswer(world, "/mcp/deaf", session);
      world.site.config = { ...world.site.config, ...richConfig };
      const ms = await tookMs(world, ask<Change>(world, "mcp.reload"));
      must(ms > 4500 && ms < 7000, `a reload that ends a deaf server took ${ms} ms`);
      must(named(world, "deaf-mcp") === 0, "a reload answers before its servers are gone");
      must((await call(world, "/mcp/deaf", session)).status === 404, "a session of a server that left");
    },
  },
  "a client without a session is known by its scope": {
    config: richConfig,
    play: async (world) => {
      const given = { name: "fine", arguments: { n: 1 } };
      for (const scope of ["one", "two", "one"]) {
        const { status, body } = await scoped(world, scope, "tools/call", given);
        must(status === 200 && body.includes("a fine"), `${status} ${body}`);
      }
      must(named(world, "rich-mcp a") === 2, `${named(world, "rich-mcp a")} servers of two scopes`);
      const sessions = await ask<{ id: string; client: { name: string } }[]>(world, "session.list");
      must(
        sessions
          .map(({ client }) => client.name)
          .toSorted()
          .join() === "one,two",
        JSON.stringify(sessions),
      );
      must((await scoped(world, "no scope!", "tools/call", given)).status === 400, "an odd scope");
      await killFront(world);
      must((await scoped(world, "one", "tools/call", given)).body.includes("a fine"), "a scope is lost with its front");
      must(
        named(world, "rich-mcp a") === 2 && (await ask<object[]>(world, "session.list")).length === 2,
        "a scope has a second session",
      );
      for (const { id } of sessions) await ask(world, "session.end", { id });
      must(named(world, "rich-mcp a") === 0, "a server outlives its scope");
      must(
        (await scoped(world, "one", "tools/call", given)).body.includes("a fine"),
        "an ended scope does not begin again",
      );
    },
  },
  "a batch is answered as one, in the revision that has batches": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of [["/mcp", "a__"]] as const) {
        const params = { protocolVersion: "2025-03-26", capabilities: {}, clientInfo: { name: "c", version: "1" } };
        const first = { jsonrpc: "2.0", id: 1, method: "initialize", params };
        const { headers } = await world.client().send("POST", path, first).answer;
        const id = String(headers["mcp-session-id"]);
        const request = (number: number, name: string) => ({
          jsonrpc: "2.0",
          id: number,
          method: "tools/call",
          params: { name: `${prefix}${name}`, arguments: { n: number } },
        });
        for (let front = 0; front < 2; front += 1) {
          const notice = { jsonrpc: "2.0", method: "notifications/initialized" };
          const batch = [request(2, "fine"), notice, request(3, "odd")];
          const { body } = await world.client().send("POST", path, batch, { "mcp-session-id": id }).answer;
          for (const expected of ['a fine {\\"n\\":2}', 'a odd {\\"n\\":3}'])
            must(body.split(expected).length === 2, `${expected}: ${body}`);
          await killFront(world);
        }
        const other = { "mcp-session-id": id, "mcp-protocol-version": "1999-01-01" };
        const { status } = await world.client().send("POST", path, request(4, "fine"), other).answer;
        must(status === 400, `an unknown revision: ${status}`);
        await ask(world, "session.end", { id });
      }
      const plain = await open(world, "/mcp/a");
      const { status } = await world
        .client()
        .send("POST", "/mcp/a", [{ jsonrpc: "2.0", id: 1, method: "ping" }], { "mcp-session-id": plain }).answer;
      must(status === 400, `a batch in a revision without: ${status}`);
    },
  },
  "a session that joins while the gateway is full or stopping is refused": {
    config: { ...richConfig, session: { sessionsMax: 1 } },
    play: async (world) => {
      const first = await open(world, "/mcp/a");
      must((await open(world, "/mcp/b")) === "", "a session above the limit");
      must((await refusalOf(world, "mcp.probe", { server: "b" })) === "session_limit", "a probe above the limit");
      must((await scoped(world, "one", "tools/list")).status !== 200, "a scope above the limit");
      await mustAnswer(world, "/mcp/a", first, "fine").catch(() => {});
      must(named(world, "rich-mcp b") === 0, "a refused session has started a server");
      must((await ask<Status>(world, "gateway.status")).sessions === 1, "a refused session is counted");
    },
  },
  "a revision that client and server agreed on is kept, whatever it is": {
    config: { mcpServers: { old: { command: "rich-mcp", args: ["old"] } } },
    play: async (world) => {
      const id = await open(world, "/mcp/old");
      const ping = async (revision: string) => {
        const headers = { "mcp-session-id": id, "mcp-protocol-version": revision };
        const body = { jsonrpc: "2.0", id: 3, method: "tools/list", params: {} };
        return (await world.client().send("POST", "/mcp/old", body, headers).answer).status;
      };
      for (let front = 0; front < 2; front += 1) {
        must((await ping(oldRevision)) === 200, "the agreed revision is refused");
        must((await ping("1999-01-01")) === 400, "another unknown revision is taken");
        await killFront(world);
      }
    },
  },
};
