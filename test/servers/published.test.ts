/**
 * Servers that nobody here wrote, started as their users start them: each is listed and called through the gateway, and
 * when its session is over nothing of it is left, by the gateway's record, by pid, and by the name of the place.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import type { RunView } from "../../src/protocol/run.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { findProgram, needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive, statOf } from "../helpers/pids.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { raise } from "./helpers/children.ts";
import { casesIn, type Case } from "./helpers/cases.ts";
import { installServers, openPlace, processesNaming, startedBy, type Launch } from "./helpers/published.ts";

leavesNothing();
const boundMs = 60_000;
const { found, skip } = await installServers();
const chromium = findProgram("chromium");
/** A session that nobody spoke to for so long is over; every request of a test is within it. */
const idleLeaseMs = 2000;

describe("published servers", { skip, timeout: patiently(240_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  let place: Awaited<ReturnType<typeof openPlace>>;

  before(async () => {
    home = new Home(bestTier());
    place = await openPlace(home);
    const launches: Launch[] = ["npx", "node"];
    const all = Object.values(casesIn(place, chromium)).flatMap((one) =>
      launches.map((launch) => [`${one.name}-${launch}`, startedBy(launch, found, one, place.temporary)] as const),
    );
    const mcpServers = Object.fromEntries(all);
    // A browser takes its time to end by itself, which is what its profile goes with.
    const stop = { stdinGraceMs: 15_000 };
    home.configure({ mcpServers, stop, session: { idleLeaseMs }, limits: { startsMax: 3 } });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await place?.[Symbol.asyncDispose]();
    await home?.[Symbol.asyncDispose]();
  });

  const treeOf = async (server: string) => {
    const runs = (await gateway.rpc("run.list")) as RunView[];
    const processes = runs.filter((run) => run.server === server).flatMap((run) => run.processes);
    return processes.flatMap(({ pid, command }) => {
      const stat = statOf(pid);
      return stat === undefined ? [] : [{ pid, command, startTime: stat.startTime }];
    });
  };

  /** One session: it lists, calls, and ends. Resolves with how many processes its server was. */
  const visit = async (one: Case, launch: Launch, onOpen = () => {}): Promise<number> => {
    const server = `${one.name}-${launch}`;
    using client = gateway.mcp(server);
    await client.initialize();
    const listed = JSON.stringify((await client.request("tools/list", {}, boundMs)).result);
    assert.ok(listed.includes(`"${one.tool}"`), `no ${one.tool} in ${listed}`);
    if (one.given !== undefined) {
      const { result, error } = await client.call(one.tool, { ...one.given }, boundMs);
      assert.match(JSON.stringify(result ?? error), one.says ?? /./);
    }
    const tree = await treeOf(server);
    assert.ok(tree.length > 0);
    onOpen();
    // One says goodbye, the other is gone without a word.
    if (launch === "npx") assert.ok((await client.delete()) < 300);
    else client[Symbol.dispose]();
    await until(`${server} ended`, async () => (await treeOf(server)).length === 0, { boundMs, everyMs: 50 });
    assert.deepEqual(tree.filter(isLive), []);
    return tree.length;
  };
  describe("by npx and as node bin, ended by DELETE and by vanishing", { concurrency: 2 }, () => {
    for (const name of ["everything", "filesystem", "memory", "thinking", "github", "context7", "remote"] as const) {
      it(`${name}: lists, is called, and nothing is left`, async () => {
        const one = casesIn(place, chromium)[name];
        const [byNpx, byNode] = await Promise.all([visit(one, "npx"), visit(one, "node")]);
        assert.ok(byNpx > byNode, `npx stands above it: ${byNpx} and ${byNode} processes`);
      });
    }

    it(
      "browser: a page is opened in a dozen processes; none of them is left, nor is the profile",
      { skip: needs("chromium") },
      async () => {
        const profiles = () => readdirSync(place.temporary).filter((name) => name.includes("_profile-"));
        const browsers = () => processesNaming(place.temporary).filter(({ command }) => command.includes("chromium"));
        const one = casesIn(place, chromium).browser;
        for (const launch of ["npx", "node"] as const) {
          await visit(one, launch, () => {
            assert.ok(browsers().length > 5, `${browsers().length} processes`);
            assert.equal(profiles().length, 1, "its profile is here");
          });
          // The run is over when its cgroup is empty; the cgroup launcher above it sees its child's end a moment later.
          const isEmpty = () => browsers().length === 0;
          await until("no browser", isEmpty, { boundMs: 5000 }).catch(() => assert.deepEqual(browsers(), []));
          assert.deepEqual(profiles(), []);
        }
      },
    );
  });

  it("of 6 child sessions × 3 of them few start at once, never more live than are open, and none outlives the parent", async () => {
    const { most, bound, startsAtOnce, startsMax, sessions, left } = await raise(found, 6);
    assert.ok(most <= bound, `${most} runs, bound ${bound}`);
    assert.ok(startsAtOnce <= startsMax, `${startsAtOnce} starts at once`);
    assert.equal(sessions, 3, "the parent and the two that were forgotten");
    assert.deepEqual(left, []);
  });
});
