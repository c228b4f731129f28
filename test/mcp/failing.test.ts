/** Servers that cannot be had, in words a person can act on: in lists, calls, `mcp status` and `mcp probe`; and what is known of servers without a start. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Breaker } from "../../src/mcp/servers/breaker.ts";
import { countedServers } from "../helpers/crowd.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { McpClient } from "../helpers/mcp-client.ts";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainOfModules } from "../helpers/program.ts";
import { fixture } from "../helpers/servers.ts";
import { anyTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

leavesNothing();
const tier = anyTier();
const light = { command: "sh", args: [fixture("light-server.sh")] };
/** On its answers the front has a defect (fixtures/defect). */
const trips = { command: "sh", args: ["-c", `sh ${fixture("light-server.sh")} | sed -u 's/Echo/trip over this/'`] };
const complaining = ["-c", "printf 'reading\\033[2J the key\\n' >&2; echo 'cannot find KEY_FILE' >&2; exit 3"];

const namesOf = async (client: McpClient) =>
  ((await client.request("tools/list")).result as { tools: { name: string }[] }).tools.map(({ name }) => name);

async function enter(gateway: Gateway): Promise<McpClient> {
  const client = new McpClient(`${gateway.url}/mcp`, gateway.token);
  await client.initialize();
  return client;
}

describe("a server that cannot be had", { timeout: patiently(60_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    const far = { command: "cat", host: "ssh:no-such-host.invalid" };
    home = new Home(tier, {
      mcpServers: {
        light,
        trips,
        ...(needs("ssh") === false ? { far } : {}),
        bad: { command: "sh", args: complaining },
      },
    });
    gateway = await Gateway.start(home, [`--import=${fixture("defect/keeper.mjs")}`], {}, mainOfModules);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  it(
    "on a far side that cannot be reached is left out of the lists, and calls, status and probe say which and why",
    { skip: needs("ssh") },
    async () => {
      using client = await enter(gateway);
      assert.deepEqual(await namesOf(client), ["light__echo", "trips__echo"]);
      const why =
        /MCP server \\?"far\\?".*ssh:no-such-host\.invalid: the host name is unknown; check it and your ssh config/;
      const log = () => readFileSync(join(home.stateDir, "log/keeper.log"), "utf8");
      await until("the log says so", () => /"event":"mcp\.unlisted"/.test(log()), { boundMs: 5000 });
      assert.match((await client.call("far__x")).error?.message ?? "", why);
      assert.match((await runCommand(home, ["mcp", "status"])).stdout, new RegExp(`^far  stdio, .*${why.source}`, "m"));
      const probe = await runCommand(home, ["mcp", "probe", "far"]);
      assert.equal(probe.code, 1);
      assert.match(probe.stderr, why);
      using single = gateway.mcp("far");
      await assert.rejects(single.initialize(), why);
    },
  );

  it("that says why on its stderr is heard by who probes it, and steers no terminal", async () => {
    const { code, stderr } = await runCommand(home, ["mcp", "probe", "bad"]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /bad wrote to stderr:\n {2}reading\?\[2J the key\n {2}cannot find KEY_FILE\nholdfast: .*exited with code 3/,
    );
  });

  it("after so many failures is not started again for a while, and each call is told so at once", async () => {
    const clients = await Promise.all(Array.from({ length: 5 }, () => enter(gateway)));
    await Promise.all(clients.map((client) => client.call("bad__x")));
    const shown = async () => (await runCommand(home, ["mcp", "status"])).stdout;
    for (const client of clients) await client.call("bad__x");
    assert.match(await shown(), /^bad  stdio, open after \d+ failures: MCP server "bad" exited with code 3$/m);
    const { error } = await clients[0]!.call("bad__x");
    assert.match(
      error?.message ?? "",
      /^MCP server "bad" failed \d+ times in a row, so its circuit breaker is open; the next start is tried in \d+ s\. Last: MCP server "bad" exited with code 3$/,
    );
    for (const client of clients) client.vanish();
  });

  it("because Holdfast itself failed on what it said is ended with a word for its caller, and nobody else notices", async () => {
    using other = await enter(gateway);
    using all = await enter(gateway);
    using single = gateway.mcp("trips");
    await single.initialize();
    await other.call("light__echo");
    const { front } = gateway.pids;
    for (const [client, tool] of [
      [single, "echo"],
      [all, "trips__echo"],
    ] as const) {
      const { error } = await client.call(tool);
      assert.match(
        error?.message ?? "",
        /^Holdfast failed on a message of MCP server "trips" and ended it; this is a defect/,
      );
      const ended = async () =>
        ((await gateway.rpc("run.list", { all: true })) as { endReason: string | null }[]).filter(
          ({ endReason }) => endReason === "defect",
        ).length;
      await until("its processes are gone", async () => (await ended()) === (client === single ? 1 : 2), {
        boundMs: 10_000,
      });
    }
    assert.equal((await other.call("light__echo")).error, undefined);
    assert.match((await all.call("trips__echo")).error?.message ?? "", /this is a defect/, "it was started anew");
    assert.equal(gateway.pids.front, front);
  });
});

describe("the circuit breaker of a server", () => {
  it("waits twice as long after each failure, opens after five, then lets one trial through at a time", async () => {
    const clock = new ManualClock();
    const breaker = new Breaker("s", clock);
    const refused = (words: RegExp) => assert.rejects(breaker.admit(), words);
    await breaker.admit();
    for (const waitMs of [500, 1000, 2000]) {
      breaker.failed("it fell over");
      let isIn = false;
      const admitted = breaker.admit().then(() => (isIn = true));
      clock.advance(waitMs - 1);
      await setImmediate();
      assert.equal(isIn, false, `not within ${waitMs} ms`);
      clock.advance(1);
      await admitted;
    }
    breaker.failed("it fell over");
    await refused(/failed 4 times in a row, so it is restarted with growing pauses; the next start is tried in 4 s/);
    clock.advance(4000);
    await breaker.admit();
    breaker.failed("it fell over");
    assert.equal(breaker.state, "open");
    await assert.rejects(
      breaker.admit(),
      /circuit breaker is open; the next start is tried in 30 s\. Last: it fell over/,
    );
    clock.advance(30_000);
    await breaker.admit();
    await refused(/circuit breaker is open; a trial start is under way/);
    breaker.undecided();
    await breaker.admit();
    breaker.failed("again");
    await refused(/failed 6 times in a row.* in 30 s/);
    clock.advance(30_000);
    await breaker.admit();
    breaker.succeeded();
    assert.equal(breaker.state, "closed");
    await Promise.all([breaker.admit(), breaker.admit()]);
  });
});

describe("what is known of a server", { timeout: patiently(60_000) }, () => {
  it("is on disk: after a restart of the gateway a list costs no start, and a file that is cut off is learnt again", async () => {
    await using home = new Home(tier);
    const marks = join(home.directory, "marks");
    writeFileSync(marks, "", { mode: 0o666 });
    home.configure({ mcpServers: countedServers(2, marks), stop: { stdinGraceMs: 200, termGraceMs: 200 } });
    const starts = () => readFileSync(marks, "latin1").match(/\+/g)?.length ?? 0;
    const lookOnce = async () => {
      await using gateway = await Gateway.start(home);
      using client = await enter(gateway);
      return await namesOf(client);
    };
    const names = await lookOnce();
    assert.deepEqual([names, starts()], [["s1__echo", "s2__echo"], 2]);
    assert.deepEqual([await lookOnce(), starts()], [names, 2]);
    const directory = join(home.stateDir, "front/catalog");
    const [first = ""] = readdirSync(directory);
    const text = readFileSync(join(directory, first), "utf8");
    writeFileSync(join(directory, first), text.slice(0, text.length / 2));
    assert.deepEqual([await lookOnce(), starts()], [names, 3]);
  });
});
