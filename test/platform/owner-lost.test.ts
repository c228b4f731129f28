/**
 * Every way to hide, all at once under one gateway, which is killed at a random moment (trees that are just being started
 * included) or told to end. Counted from the lists that the trees wrote themselves.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { programImage } from "../../src/platform/linux/programs.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { isWhole, sample } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { killWhatIsLeft, readListed, rememberList, settle, statOf } from "../helpers/pids.ts";
import { attackScript } from "../helpers/servers.ts";
import { giveTo, root, tiersToTest, type TierName } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

const everywhere = [
  "group",
  "setsid",
  "double-fork",
  "cleared",
  "cleared-double-fork",
  "disowned",
  "stopped",
  "deaf",
  "chain",
  "chains",
  "holds-stdout",
  "zombie-parent",
  "deep",
  "wide",
  "own-subreaper",
];
/** What only root can do to itself. */
const asRoot = ["pid-namespace", "other-uid", "frozen"];
const boundMs = 15_000;
const rounds = isWhole ? 4 : 1;

/** Lists itself, then ends its first thread by the system call that ends no other. */
const headless = `
  const { createRequire } = require("node:module");
  const { appendFileSync, readFileSync } = require("node:fs");
  const system = createRequire(${JSON.stringify(join(root, "package.json"))})("koffi").load(null);
  const stat = readFileSync("/proc/self/stat", "latin1");
  const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  appendFileSync(process.argv[1], process.pid + " " + start + " headless\\n");
  system.func("long syscall(long number, ...)")(process.arch === "arm64" ? 93 : 60, "int", 0);`;

/** Plays one round; resolves with how many processes there were, and where any was left. */
async function play(
  tier: TierName,
  ending: "SIGKILL" | "SIGTERM",
  afterMs: number,
): Promise<{ listed: number; left: string[] }> {
  const names = tier === "cgroup" ? [...everywhere, ...asRoot] : everywhere;
  await using home = new Home(tier);
  const fileOf = (name: string) => join(home.directory, `pids-${name}`);
  const lists = names.map((name) => {
    writeFileSync(fileOf(name), "");
    giveTo(tier, fileOf(name));
    return rememberList(fileOf(name));
  });
  const launcher = join(home.directory, "launcher");
  writeFileSync(launcher, programImage(process.arch, "launcher") ?? "", { mode: 0o755 });
  try {
    const mcpServers = Object.fromEntries(
      names.map((name) => [name, { command: "bash", args: [attackScript, name, fileOf(name), launcher] }]),
    );
    // All of them at once: none answers, so each would keep the next one waiting.
    home.configure({ mcpServers, stop: { stdinGraceMs: 100, termGraceMs: 100 }, limits: { startsMax: names.length } });
    await using gateway = await Gateway.start(home);
    const clients = names.map((name) => gateway.mcp(name));
    // Not one of them speaks MCP: the calls end with their gateway.
    const calls = clients.map((client) => client.initialize().catch(() => undefined));
    await delay(afterMs); // the moment is the point
    process.kill(gateway.pids.keeper, ending);
    await gateway.ended();
    const left: string[] = [];
    for (const name of names) {
      const { survivors } = await settle(fileOf(name), boundMs);
      if (survivors.length > 0) left.push(`${name}: ${survivors.length}`);
      await killWhatIsLeft(fileOf(name));
    }
    for (const client of clients) client.vanish();
    await Promise.all(calls);
    return { listed: names.reduce((sum, name) => sum + readListed(fileOf(name)).length, 0), left };
  } finally {
    for (const list of lists) list[Symbol.dispose]();
  }
}

describe("nothing is left of any tree when its owner is lost", { timeout: patiently(180_000), concurrency: 3 }, () => {
  leavesNothing();
  // The self-test plays every attack and every end on either tier too.
  for (const [at, tier] of tiersToTest().entries()) {
    const endings = sample(["killed", "told"] as const, at);
    if (endings.includes("killed"))
      it(`on the ${tier} tier, keeper killed at ${rounds} random moments`, async () => {
        const seed = Date.now() % 100_000;
        let state = seed;
        for (let round = 0; round < rounds; round += 1) {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          const afterMs = round === 0 ? 2000 : (state >>> 8) % 500;
          const { listed, left } = await play(tier, "SIGKILL", afterMs);
          console.log(`  seed ${seed}, round ${round}: killed after ${afterMs} ms, ${listed} processes were there`);
          assert.deepEqual(left, [], `seed ${seed}, round ${round}, after ${afterMs} ms`);
        }
      });
    it(`on the ${tier} tier, of one whose first thread has ended before the others: a zombie in ps, and yet alive`, async () => {
      await using home = new Home(tier);
      home.configure({ mcpServers: { headless: { command: process.execPath, args: ["-e", headless, home.pidFile] } } });
      await using gateway = await Gateway.start(home);
      const client = gateway.mcp("headless");
      const call = client.initialize().catch(() => undefined);
      const ask = () => readListed(home.pidFile)[0];
      const { pid, startTime } = await until("the server", ask, { boundMs });
      await until("its first thread is dead", () => statOf(pid)?.state === "Z", { boundMs });
      assert.ok(readdirSync(`/proc/${pid}/task`).length > 1, "the others live");
      process.kill(gateway.pids.keeper, "SIGKILL");
      await gateway.ended();
      try {
        const isGone = () => !existsSync(`/proc/${pid}`) || statOf(pid)?.startTime !== startTime;
        await until("it is gone", isGone, { boundMs });
      } catch (thrown) {
        process.kill(pid, "SIGKILL"); // it is there, or it would have been gone
        throw thrown;
      } finally {
        client.vanish();
        await call;
      }
    });
    if (endings.includes("told"))
      it(`on the ${tier} tier, gateway told to end`, async () => {
        const { listed, left } = await play(tier, "SIGTERM", 2000);
        assert.ok(listed > 100, `${listed} processes were there`);
        assert.deepEqual(left, []);
      });
  }
});
