/** A machine that starts no more processes, or opens no more files: what runs is held all the same, and what is missing comes back. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { platform } from "../../src/platform/index.ts";
import { startGuardian } from "../../src/platform/linux/guardian.ts";
import { spareDescriptors } from "../../src/platform/unix/spare-descriptors.ts";
import { HoldfastError } from "../../src/errors.ts";
import { CrashRecords } from "../../src/keeper/crashes.ts";
import { Guardian } from "../../src/keeper/guardian.ts";
import { checkRoom } from "../../src/keeper/room.ts";
import { Background } from "../helpers/background.ts";
import { Gateway, mainFile, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive, statOf } from "../helpers/pids.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

interface Helper {
  pid: number;
  restarts: number;
  state: string;
  problem: string | null;
}
interface Status {
  front: Helper;
  guardian: Helper;
  runs: number;
}

/** The user of the subreaper tier in these tests. */
const nobody = 65534;

const statusOf = (gateway: Gateway) => gateway.rpc("gateway.status") as Promise<Status>;

/** The processes of all live runs. */
async function processesOf(gateway: Gateway): Promise<{ pid: number; startTime: string }[]> {
  const runs = (await gateway.rpc("run.list", {})) as { processes: { pid: number }[] }[];
  return runs
    .flatMap(({ processes }) => processes)
    .map(({ pid }) => ({ pid, startTime: statOf(pid)?.startTime ?? "" }));
}

/** The soft limit of another process of that user; returns what it was. */
function limitProcesses(pid: number, uid: number, soft: string): string {
  const asUser = { uid, gid: uid, encoding: "utf8" } as const;
  const words = ["--pid", String(pid), "--nproc", "--noheadings", "--raw", "--output=SOFT"];
  const before = execFileSync("prlimit", words, asUser).trim();
  execFileSync("prlimit", ["--pid", String(pid), `--nproc=${soft}:`], asUser);
  return before;
}

describe("a keeper at the limit of open files", { timeout: patiently(240_000) }, () => {
  leavesNothing();

  for (const tier of tiersToTest()) {
    it(`on the ${tier} tier refuses the runs that are too many, replaces front and guardian, and holds all that it took`, async () => {
      await using home = new Home(tier, { exec: { enabled: true }, stop: { stdinGraceMs: 100, termGraceMs: 100 } });
      const gateway = await Gateway.start(home, [], {}, mainFile, ["prlimit", "--nofile=200:200"]);
      const background = new Background(gateway);
      const refused: string[] = [];
      for (let n = 0; n < 54; n += 1) {
        await background.start({ argv: ["sleep", "1000"] }).catch((thrown: Error) => refused.push(thrown.message));
      }
      const { runs } = await statusOf(gateway);
      assert.ok(runs >= 20, `${runs} runs were taken`);
      assert.equal(runs + refused.length, 54);
      for (const message of refused)
        assert.match(message, /of the gateway's 200 file descriptors are in use.*raise the limit/);
      const { guardian, front, keeper } = gateway.pids;
      process.kill(guardian, "SIGKILL");
      await until("another guardian", async () => (await statusOf(gateway)).guardian.pid !== guardian, {
        boundMs: 10_000,
      });
      process.kill(front, "SIGKILL");
      await gateway.renewed({ front });
      await until("it is on watch", async () => (await statusOf(gateway)).guardian.state === "serving", {
        boundMs: 5000,
      });
      const held = await processesOf(gateway);
      assert.ok(held.length >= runs);
      assert.equal((await statusOf(gateway)).runs, runs, "nothing was lost by that");
      const now = (await statusOf(gateway)).guardian.pid;
      home.hold("guardian", { pid: now, startTime: statOf(now)?.startTime ?? "" });
      process.kill(keeper, "SIGKILL");
      await until("nothing is left", () => !held.some(isLive), { boundMs: 10_000 });
      await gateway.ended();
    });
  }

  it("says so before anything is started, and counts what live runs may still open", () => {
    const cases: [live: number, open: number, isRefused: boolean][] = [
      [0, 168, false],
      [0, 169, true],
      [50, 118, false],
      [50, 119, true],
    ];
    for (const [live, open, isRefused] of cases) {
      const check = () => checkRoom(live, 1000, { descriptors: open, descriptorsMax: 200 });
      if (isRefused) assert.throws(check, { code: "run_limit", message: /ulimit -n/ });
      else check();
    }
    assert.throws(() => checkRoom(3, 3), { code: "run_limit", message: /limits\.runsMax/ });
  });
});

describe("a keeper that may start no more processes", { timeout: patiently(240_000) }, () => {
  leavesNothing();

  // Of the tiers only the one of an ordinary user is subject to that limit.
  it("keeps its runs, starts none without a guardian, says why, and has front and guardian back once it may again", async (t) => {
    if (process.getuid?.() !== 0) return t.skip("needs root to set another process's limit");
    await using home = new Home("subreaper", { exec: { enabled: true } });
    await using gateway = await Gateway.start(home);
    const background = new Background(gateway);
    await background.start({ argv: ["sleep", "1000"] });
    const { keeper, guardian, front } = gateway.pids;
    const before = limitProcesses(keeper, nobody, "1");
    process.kill(guardian, "SIGKILL");
    const shown = async () => {
      const { guardian: now } = await statusOf(gateway);
      return now.problem === null ? undefined : now;
    };
    const found = await until("status shows it", shown, { boundMs: 10_000 });
    assert.deepEqual([found.pid, found.problem], [0, "spawn /bin/sh EAGAIN"]);
    const { stdout } = await runCommand(home, ["status"]);
    assert.match(stdout, /guardian +none: spawn \/bin\/sh EAGAIN/);
    await assert.rejects(background.start({ argv: ["sleep", "1001"] }), /no guardian is on watch \(spawn .*EAGAIN\)/);
    process.kill(front, "SIGKILL");
    await until("a front was refused too", () => /"front\.error".*EAGAIN/.test(keeperLog(home)), { boundMs: 10_000 });
    limitProcesses(keeper, nobody, before);
    await gateway.renewed({ front });
    const back = await until("a guardian", async () => (await statusOf(gateway)).guardian.pid || undefined, {
      boundMs: 10_000,
    });
    home.hold("guardian", { pid: back, startTime: statOf(back)?.startTime ?? "" });
    await background.start({ argv: ["sleep", "1002"] });
    const status = await statusOf(gateway);
    assert.deepEqual([status.runs, status.guardian.state, status.guardian.problem], [2, "serving", null]);
  });
});

describe("a guardian whose program is missing", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("is an error at the start, and later a state that is tried again until the program is there", async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-guardian-"));
    const shell = join(directory, "sh");
    const refused: string[] = [];
    const restarted = Promise.withResolvers<void>();
    const make = () =>
      new Guardian({
        clock: systemClock,
        platform,
        spawn: () => startGuardian({ words: ["/no-such-owner/r1-", "-", "-"], shell }),
        crashes: new CrashRecords(directory, 1, systemClock),
        onRestart: () => restarted.resolve(),
        onRefused: (why) => refused.push(why),
        onGivenUp: (error) => assert.fail(error.message),
      });
    try {
      const missing = make();
      await assert.rejects(missing.start(), (error: HoldfastError) => {
        assert.equal(error.code, "spawn_failed");
        assert.match(error.message, /the guardian cannot be started: spawn .*ENOENT/);
        return true;
      });
      await missing.dismiss();
      symlinkSync("/bin/sh", shell);
      const guardian = make();
      await guardian.start();
      assert.equal(guardian.mustWatch(), undefined, "it is on watch");
      unlinkSync(shell);
      refused.length = 0;
      process.kill(guardian.pid, "SIGKILL");
      await until("it is refused twice", () => refused.length >= 2, { boundMs: 5000 });
      assert.deepEqual([guardian.pid, guardian.state], [0, "gone"]);
      await assert.rejects(Promise.resolve(guardian.mustWatch()), { code: "guardian_down" });
      symlinkSync("/bin/sh", shell);
      await restarted.promise;
      assert.deepEqual([guardian.state, guardian.problem], ["serving", null]);
      await guardian.dismiss();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe("spare descriptors", () => {
  leavesNothing();

  it("are lent for one use, also to a use within a use, and held again after it, whatever it throws", () => {
    spareDescriptors.hold(5);
    try {
      assert.equal(spareDescriptors.held, 5);
      const within = spareDescriptors.lend(() => [
        spareDescriptors.held,
        spareDescriptors.lend(() => spareDescriptors.held),
      ]);
      assert.deepEqual([within, spareDescriptors.held], [[0, 0], 5]);
      assert.throws(() => spareDescriptors.lend(() => assert.fail("thrown")), /thrown/);
      assert.equal(spareDescriptors.held, 5);
      let looks = 0;
      const look = () => {
        looks += 1;
        if (looks === 1) throw Object.assign(new Error("too many open files"), { code: "EMFILE" });
        return spareDescriptors.held;
      };
      assert.equal(spareDescriptors.look(look), 0, "the second look has them");
    } finally {
      spareDescriptors[Symbol.dispose]();
    }
    assert.equal(spareDescriptors.held, 0);
  });
});

function keeperLog(home: Home): string {
  return execFileSync("cat", [join(home.stateDir, "log/keeper.log")], { encoding: "utf8" });
}
