/** Whatever ends a keeper by its own hand leaves a record; a full disk and a wall clock that is set are no such thing. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { CrashRecords } from "../../src/keeper/crashes.ts";
import { Ledger } from "../../src/keeper/ledger.ts";
import { Lease } from "../../src/ownership/lease.ts";
import { Background } from "../helpers/background.ts";
import { backgroundSpec } from "../helpers/background-spec.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive } from "../helpers/pids.ts";
import { SmallDisk } from "../helpers/small-disk.ts";
import { bestTier, root } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";
import { Office } from "./helpers/office.ts";

const needsRoot = process.getuid?.() !== 0 && "needs root";

describe("the last words of a keeper", { timeout: patiently(60_000) }, () => {
  leavesNothing();
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-last-words-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** Runs a program that has recorded last words, as epoch 4; resolves with what is on record and what was logged. */
  async function lastWordsOf(program: string) {
    const source = `
      import { writeFileSync } from "node:fs";
      import { systemClock } from ${JSON.stringify(join(root, "src/clock.ts"))};
      import { CrashRecords } from ${JSON.stringify(join(root, "src/keeper/crashes.ts"))};
      import { recordLastWords } from ${JSON.stringify(join(root, "src/keeper/last-words.ts"))};
      const directory = process.argv[1];
      const log = { fatal: (entry) => writeFileSync(directory + "/logged", JSON.stringify(entry)) };
      const lastWords = recordLastWords(new CrashRecords(directory, 4, systemClock), log);
      ${program}`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", source, directory], {
      stdio: "ignore",
    });
    await once(child, "exit");
    const logged = readdirSync(directory).includes("logged");
    const entry = logged
      ? (JSON.parse(readFileSync(join(directory, "logged"), "utf8")) as { event: string })
      : undefined;
    const crashes = new CrashRecords(directory, 5, systemClock)
      .list(10)
      .map(({ who, why, epoch, exitCode, detail }) => {
        return { who, why, epoch, exitCode, detail };
      });
    return { crashes, event: entry?.event };
  }

  const keeper = { who: "keeper", epoch: 4 } as const;

  it("tell of an exit before the orderly end, with its code", async () => {
    for (const [program, code] of [
      ["process.exit(3);", 3],
      ["setTimeout(() => process.exit(0), 1);", 0],
      ["await new Promise(() => {});", 13], // nothing keeps the loop alive
    ] as const) {
      const { crashes, event } = await lastWordsOf(program);
      const detail = `the process exited with code ${code} before its orderly end`;
      assert.deepEqual(crashes, [{ ...keeper, why: "died", exitCode: code, detail }]);
      assert.equal(event, "keeper.crashed");
      for (const name of readdirSync(directory)) rmSync(join(directory, name));
    }
  });

  it("tell of an exception and of a rejection that nobody caught, once each", async () => {
    for (const [program, detail] of [
      [`setTimeout(() => { throw new Error("out of ideas"); }, 1);`, "Error: out of ideas"],
      [`void Promise.reject(new Error("no way"));`, "Error: no way (a promise that was not awaited)"],
      [`process.nextTick(() => { throw "a word"; });`, "a word"],
    ] as const) {
      const { crashes, event } = await lastWordsOf(program);
      assert.deepEqual(crashes, [{ ...keeper, why: "threw", exitCode: null, detail }]);
      assert.equal(event, "keeper.crashed");
      for (const name of readdirSync(directory)) rmSync(join(directory, name));
    }
  });

  it("are none after an orderly end", async () => {
    const { crashes, event } = await lastWordsOf("lastWords[Symbol.dispose](); process.exit(7);");
    assert.deepEqual([crashes, event], [[], undefined]);
  });
});

describe("a full disk at the end of a keeper", { timeout: patiently(120_000), skip: needsRoot }, () => {
  leavesNothing();

  it("does not make the ledger throw: the end of the epoch is owed, and written when there is room", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-ledger-"));
    try {
      using disk = new SmallDisk(directory, 512);
      const path = join(disk.directory, "ledger.sqlite");
      const ledger = new Ledger(path, systemClock);
      const epochs = [1, 2].map(() => ledger.beginEpoch("boot", 1, "1", 1));
      disk.fill();
      for (const epoch of epochs) ledger.endEpoch(epoch, 2);
      disk.empty();
      ledger.close();
      const again = new Ledger(path, systemClock);
      assert.deepEqual(again.lostEpochs(), []);
      disk.fill();
      again.noticeLost(1, 3);
      again.close();
      disk.empty();
      const third = new Ledger(path, systemClock);
      disk.fill();
      assert.throws(() => third.beginEpoch("boot", 1, "1", 1), { code: "state_unusable", message: /has room/ });
      third.close();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("leaves a gateway its orderly end, with a run that is ended on it", async () => {
    await using home = new Home(bestTier(), { exec: { enabled: true }, stop: { stdinGraceMs: 100, termGraceMs: 100 } });
    using disk = new SmallDisk(home.directory, 16 * 1024);
    rmdirSync(home.stateDir);
    symlinkSync(disk.directory, home.stateDir);
    const gateway = await Gateway.start(home);
    const background = new Background(gateway);
    await background.start({ argv: ["sleep", "1000"] });
    disk.fill();
    const { code, stderr } = await runCommand(home, ["stop"]);
    assert.equal(code, 0, stderr);
    assert.equal(isLive({ pid: gateway.pids.keeper }), false);
    disk.empty();
    assert.doesNotMatch(home.log, /defect|Error: .*\n\s+at /);
    const records = readdirSync(join(home.stateDir, "crashes"));
    assert.deepEqual(records, []);
  });
});

describe("a wall clock that is set", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("back by an hour keeps no silent run alive, and forward ends none that speaks", async (t) => {
    await using office = new Office({ exec: { enabled: true }, stop: { stdinGraceMs: 50, termGraceMs: 50 } });
    const real = Date.now.bind(Date);
    for (const byMs of [-3_600_000, 3_600_000]) {
      const silent = await office.call(
        "exec.start",
        backgroundSpec({ argv: ["sleep", "1000"], noOutputTimeoutMs: 400 }),
      );
      const script = "while :; do echo a; sleep 0.05; done";
      const speaking = await office.call(
        "exec.start",
        backgroundSpec({ argv: ["sh", "-c", script], noOutputTimeoutMs: 5000 }),
      );
      const mocked = t.mock.method(Date, "now", () => real() + byMs);
      const over = await office.call("exec.wait", { run: silent.id, waitMs: 10_000 });
      assert.deepEqual([over.state, over.endReason], ["exited", "no-output"]);
      assert.equal((await office.call("exec.wait", { run: speaking.id, waitMs: 0 })).state, "running");
      mocked.mock.restore();
      await office.call("exec.end", { run: speaking.id, reason: "cancelled", hurried: true });
    }
  });

  it("changes nothing of a lease: it ends when its time is over, and not before", () => {
    for (const byMs of [-3_600_000, 3_600_000]) {
      const clock = new ManualClock();
      let ended = 0;
      const lease = new Lease(clock, 1000, () => (ended += 1));
      clock.advance(500);
      clock.setWallClock(byMs);
      clock.advance(499);
      assert.equal(ended, 0);
      const leave = lease.hold();
      clock.advance(5000);
      clock.setWallClock(-byMs);
      leave();
      clock.advance(999);
      assert.equal(ended, 0);
      clock.advance(1);
      assert.deepEqual([ended, clock.pending], [1, 0]);
    }
  });
});
