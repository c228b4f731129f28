/** A life that ended without a clean stop is told, with and without a gateway; and logs have a bounded size. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { crashShape, type CrashView } from "../../src/protocol/keeper/status.ts";
import { systemClock } from "../../src/clock.ts";
import { CrashRecords } from "../../src/keeper/crashes.ts";
import { openLog } from "../../src/keeper/log.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier, giveTo, root } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

async function crashesOf(home: Home): Promise<CrashView[]> {
  const { code, stdout, stderr } = await runCommand(home, ["crashes", "--json"]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as CrashView[];
}

describe("crashes", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("tells of a keeper that was killed: before the next start, after it, and once only; of a clean stop nothing", async () => {
    await using home = new Home(bestTier());
    assert.deepEqual(await crashesOf(home), [], "nothing has run here");
    const first = await Gateway.start(home);
    await first.stop();
    assert.deepEqual(await crashesOf(home), [], "a clean stop is no crash");
    const second = await Gateway.start(home);
    const { keeper } = second.pids;
    const killedAt = Date.now();
    process.kill(keeper, "SIGKILL");
    await second.ended();
    const expected = ["keeper", "vanished", keeper, second.epoch];
    for (const command of ["status", "ps", "mcp"]) {
      const { code, stderr } = await runCommand(home, [command]);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`\\(pid ${keeper}\\) died without a clean stop.*holdfast crashes`), command);
      assert.match(stderr, new RegExp(`holdfast gateway --state ${home.stateDir} --config ${home.configFile}`));
    }
    for (const when of ["without a gateway", "once one runs again", "after that one's clean stop"]) {
      if (when === "once one runs again") await Gateway.start(home);
      if (when === "after that one's clean stop") await runCommand(home, ["stop"]);
      const found = (await crashesOf(home)).filter(({ who }) => who === "keeper");
      assert.deepEqual(
        found.map(({ who, why, pid, epoch }) => [who, why, pid, epoch]),
        [expected],
        when,
      );
      assert.ok(
        found[0]!.at <= killedAt + 1000 && found[0]!.at > killedAt - 30_000,
        `${when}: the time is of its life`,
      );
    }
  });

  it("keeps an exception that nobody caught, and does not hide it", async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-crashes-"));
    try {
      const source = `
        import { systemClock } from ${JSON.stringify(join(root, "src/clock.ts"))};
        import { CrashRecords } from ${JSON.stringify(join(root, "src/keeper/crashes.ts"))};
        import { recordLastWords } from ${JSON.stringify(join(root, "src/keeper/last-words.ts"))};
        recordLastWords(new CrashRecords(process.argv[1], 4, systemClock), { fatal() {} });
        setTimeout(() => { throw new Error("out of ideas"); }, 1);`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", source, directory], { stdio: "ignore" });
      const [code] = (await once(child, "exit")) as [number];
      assert.notEqual(code, 0);
      const [crash] = new CrashRecords(directory, 5, systemClock).list(10);
      assert.deepEqual([crash?.who, crash?.why, crash?.epoch], ["keeper", "threw", 4]);
      assert.match(crash?.detail ?? "", /out of ideas/);
      assert.match(readFileSync(crash!.file, "utf8"), /\bat /, "the stack is in the record");
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("names a record's last words, and no stderr where nothing was written to it", async () => {
    await using home = new Home(bestTier());
    const directory = join(home.stateDir, "crashes");
    mkdirSync(directory);
    giveTo(home.tier, directory);
    const records = new CrashRecords(directory, 1, systemClock);
    const [silent, short, long] = ["", "out of ideas\n", "first\nlast\n"].map((stderr, index) => {
      const view = records.record({ who: "front", why: "died", pid: index + 1, signal: "SIGKILL" }, stderr);
      giveTo(home.tier, view.file);
      return view.file;
    });
    const { stdout } = await runCommand(home, ["crashes"]);
    const said = stdout.split("\n").filter((line) => line.startsWith("  "));
    assert.deepEqual(said.toSorted(), [
      `  its last words (the rest is in ${long}): last`,
      "  its last words: out of ideas",
      `  nothing on stderr; on record in ${silent}`,
    ]);
    assert.ok(!stdout.includes(String(short)));
  });

  it("leaves out a record of another form, which a front would refuse with the whole status", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-crashes-"));
    try {
      const { file } = new CrashRecords(directory, 1, systemClock).record({ who: "front", why: "died", pid: 1 }, "");
      const record = JSON.parse(readFileSync(file, "utf8")) as object;
      writeFileSync(join(directory, "half.json"), JSON.stringify(record).slice(0, 40));
      writeFileSync(join(directory, "odd.json"), JSON.stringify({ ...record, why: "tired" }));
      writeFileSync(join(directory, "more.json"), JSON.stringify({ ...record, pid: 2, weather: "fair" }));
      const crashes = new CrashRecords(directory, 2, systemClock).list(9);
      assert.deepEqual(new Set(crashes.map(({ pid }) => pid)), new Set([1, 2]));
      for (const crash of crashes) assert.ok(crashShape.safeParse(crash).success);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it("keeps the newest fifty records and a log of bounded size, newest lines whole", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-crashes-"));
    try {
      const crashes = new CrashRecords(directory, 1, systemClock);
      for (let n = 1; n <= 60; n++) crashes.record({ who: "front", why: "died", pid: n, at: n * 1000 }, "");
      assert.equal(readdirSync(directory).length, 50);
      assert.deepEqual(
        new CrashRecords(directory, 2, systemClock).list(2).map(({ pid }) => pid),
        [60, 59],
      );
      const opened = openLog(directory, systemClock, { fileBytesMax: 2000, olderMax: 2 });
      for (let n = 0; n < 200; n++) opened.log.info({ event: "run.spawned", run: `r1-${n}` });
      opened.close();
      const logs = readdirSync(directory).filter((name) => name.startsWith("keeper.log"));
      assert.deepEqual(logs.toSorted(), ["keeper.log", "keeper.log.1", "keeper.log.2"]);
      const lines = logs
        .toSorted()
        .toReversed()
        .flatMap((name) => readFileSync(join(directory, name), "utf8").trim().split("\n"));
      const runs = lines.map((line) => Number((JSON.parse(line) as { run: string }).run.slice(3)));
      assert.deepEqual(
        runs,
        Array.from(runs, (_, n) => 200 - runs.length + n),
        "in order, none missing at the end",
      );
      for (const name of logs) {
        assert.ok(statSync(join(directory, name)).size <= 2000);
        assert.equal(statSync(join(directory, name)).mode & 0o077, 0);
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
