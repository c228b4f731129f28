/** A front that is alive and does not turn is noticed, put on record and replaced; a slow machine is not held against it. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { CrashView } from "../../src/protocol/keeper/status.ts";
import { systemClock } from "../../src/clock.ts";
import { platform } from "../../src/platform/index.ts";
import { CrashRecords } from "../../src/keeper/crashes.ts";
import { FrontSupervisor, type FrontParts } from "../../src/keeper/front.ts";
import { FrontVoice } from "../../src/keeper/front-voice.ts";
import { FrontWatch, type FrontSign } from "../../src/keeper/front-watch.ts";
import { RestartIntensity } from "../../src/keeper/intensity.ts";
import { openLog } from "../../src/keeper/log.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive } from "../helpers/pids.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

/** A watch that is ticked by hand, over a front that looks as it is told. */
function watchOf(look: () => FrontSign | undefined): { watch: FrontWatch; stuck: string[] } {
  const stuck: string[] = [];
  const watch = new FrontWatch({
    clock: systemClock,
    stuckMs: 4000,
    look,
    onStuck: (_silentMs, state) => stuck.push(state),
  });
  watch.heard();
  return { watch, stuck };
}

describe("the judgement", () => {
  it("takes a front that sleeps, is stopped or computes in silence for stuck once the bound is over", () => {
    for (const state of ["sleeping", "stopped", "running"] as const) {
      let cpuMs = 0;
      const { watch, stuck } = watchOf(() => ({ state, cpuMs: (cpuMs += watch.everyMs) }));
      for (let ms = 0; ms < 3900; ms += watch.everyMs) watch.tick();
      assert.deepEqual(stuck, [], "not before the bound");
      for (let looks = 0; looks < 3; looks++) watch.tick();
      assert.deepEqual(stuck, [state]);
    }
  });

  it("waits for one that the machine does not let run, and for one that waits for a disk", () => {
    for (const state of ["running", "uninterruptible"] as const) {
      const { watch, stuck } = watchOf(() => ({ state, cpuMs: 10 }));
      for (let looks = 0; looks < 1000; looks++) watch.tick();
      assert.deepEqual(stuck, []);
    }
  });

  it("begins anew with every word of the front", () => {
    const { watch, stuck } = watchOf(() => ({ state: "sleeping" as const, cpuMs: 0 }));
    for (let looks = 0; looks < 100; looks++) {
      if (looks % 5 === 0) watch.heard();
      watch.tick();
    }
    assert.deepEqual(stuck, []);
  });

  it("gives a front that is still loading longer", () => {
    const stuck: string[] = [];
    const look = () => ({ state: "sleeping" as const, cpuMs: 0 });
    const watch = new FrontWatch({ clock: systemClock, stuckMs: 4000, look, onStuck: (_, state) => stuck.push(state) });
    for (let ms = 0; ms < 29_000; ms += watch.everyMs) watch.tick();
    assert.deepEqual(stuck, []);
    for (let ms = 0; ms < 2000; ms += watch.everyMs) watch.tick();
    assert.deepEqual(stuck, ["sleeping"]);
  });
});

describe("a stuck front", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("that computes for ever is ended, with what it had announced on record", async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-watch-"));
    const opened = openLog(directory, systemClock);
    const crashed = Promise.withResolvers<CrashView | undefined>();
    const parts: FrontParts = {
      clock: systemClock,
      platform,
      entry: fileURLToPath(new URL("helpers/busy-front.ts", import.meta.url)),
      frontDirectory: directory,
      crashes: new CrashRecords(directory, 7, systemClock),
      log: opened.log,
      voice: new FrontVoice(opened),
      intensity: new RestartIntensity(0, 1000),
      drainBoundMs: 5000,
      stuckMs: 2000,
      keepMs: 60_000,
      onStart: (front) => front.tell({ type: "drain", reason: "any first word" }),
      onMessage: (message) => {
        const { lastMethod } = message as { lastMethod?: string };
        if (lastMethod !== undefined) supervisor.lastMethod = lastMethod;
      },
      onFrame: () => {},
      onEnd: async (crash) => crashed.resolve(crash),
      onGivenUp: () => {},
    };
    const supervisor = new FrontSupervisor(parts);
    try {
      supervisor.start();
      const crash = await crashed.promise;
      assert.deepEqual(
        [crash?.why, crash?.signal, crash?.lastMethod, crash?.epoch],
        ["stuck", "SIGKILL", "rpc endless.loop", 7],
      );
      assert.match(crash?.detail ?? "", /no sign for \d\.\d s \(state [RS]\)/);
    } finally {
      await supervisor.close();
      opened.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("that is stopped is replaced on the same port, and `crashes` says what, when, why and for how long", async () => {
    await using home = new Home(bestTier(), { limits: { frontStuckMs: 2000 } });
    await using gateway = await Gateway.start(home);
    const { url } = gateway;
    const { front } = gateway.pids;
    const began = performance.now();
    process.kill(front, "SIGSTOP");
    await gateway.renewed({ front });
    const tookMs = performance.now() - began;
    assert.equal(isLive({ pid: front }), false);
    assert.equal(gateway.url, url);
    assert.ok(tookMs > 900, "not at once: a front may be silent for a while");
    const { stdout } = await runCommand(home, ["crashes", "--json"]);
    const [crash] = JSON.parse(stdout) as CrashView[];
    assert.deepEqual([crash?.who, crash?.why, crash?.pid], ["front", "stuck", front]);
    assert.equal(crash?.lastMethod, "rpc gateway.status");
    assert.match(crash?.detail ?? "", /state T/);
    const downMs = crash?.downMs ?? 0;
    assert.ok(downMs > 0 && downMs < 10_000, String(crash?.downMs));
    const words = await runCommand(home, ["crashes"]);
    assert.match(
      words.stdout,
      /front.*stuck: no sign for .* s \(state T\).*last began rpc gateway\.status.*another served after/s,
    );
    await until(
      "the log says both",
      () => {
        const log = readFileSync(join(home.stateDir, "log/keeper.log"), "utf8");
        return /"front\.stuck"/.test(log) && /"front\.restarted".*"downMs":\d/.test(log);
      },
      { boundMs: 5000 },
    );
  });
});
