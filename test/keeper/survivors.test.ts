/** What cannot be ended is named, is tried again, and is not called ended before it is. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { platform } from "../../src/platform/index.ts";
import type { Container, Epoch, LeftProcess, ProcessInfo } from "../../src/platform/types.ts";
import { Ledger } from "../../src/keeper/ledger.ts";
import type { LedgerRow } from "../../src/keeper/ledger-row.ts";
import { Leftovers } from "../../src/keeper/leftovers.ts";
import { openLog, type OpenLog } from "../../src/keeper/log.ts";
import { reconcile } from "../../src/keeper/reconcile.ts";
import { LineRelay } from "../../src/keeper/relay.ts";
import { Run } from "../../src/keeper/run.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { until } from "../helpers/until.ts";

/** A process that lives as long as this test. */
const self = () => platform.processes.read(process.pid)!;

const stranger: ProcessInfo = { ...self(), pid: 999_999_999, state: "uninterruptible", startTime: "1" };

function rowOf(id: string, given: Partial<LedgerRow> = {}): LedgerRow {
  const whose = { server: null, sessionId: null, scopeKey: null, host: "local", cwd: null, policy: "keep" };
  const what = {
    kind: "exec",
    command: "sleep 1000",
    requestId: null,
    startedAt: 1,
    epoch: 1,
    survivors: null,
  } as const;
  const end = { endedAt: null, leaderEndedAt: null, endReason: null, exitCode: null, signal: null };
  const where = {
    pid: null,
    startTime: null,
    bootId: platform.bootId(),
    processGroup: null,
    container: "c",
    marker: "m",
  };
  return { id, ...what, ...whose, ...end, ...where, state: "starting", ...given };
}

/** A fence whose tree cannot be ended until the test says so. */
class StubbornContainer implements Container {
  readonly runId = "r1-00000001";
  readonly name = "stubborn";
  left: ProcessInfo[] = [stranger];
  readonly ends: number[] = [];
  async spawn(): Promise<never> {
    throw new Error("no room");
  }
  list(): ProcessInfo[] {
    return this.left;
  }
  ask(): boolean {
    return false;
  }
  signal(): boolean {
    return false;
  }
  looksEmpty(): boolean {
    return this.left.length === 0;
  }
  async end(boundMs: number): Promise<ProcessInfo[]> {
    this.ends.push(boundMs);
    return this.left;
  }
}

/** Lets everything happen that waits for nothing but its turn. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("a run that cannot be ended", () => {
  let directory: string;
  let ledger: Ledger;
  let opened: OpenLog;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-survivors-"));
    ledger = new Ledger(join(directory, "ledger.sqlite"), systemClock);
    opened = openLog(directory, systemClock);
  });
  afterEach(() => {
    ledger.close();
    opened.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const make = (container: Container, clock: ManualClock) => {
    const states: string[] = [];
    const row = rowOf(container.runId);
    const graces = { stdinGraceMs: 0, termGraceMs: 0 };
    const onChange = () => void states.push(run.state);
    const io = new LineRelay(1, () => {});
    const { processes } = platform;
    const parts = { container, ledger, processes, io, graces, limits: {}, clock, onExcess() {}, onChange };
    const run: Run = new Run(1, row, parts, { onFrontLoss: "kill", blob: "" });
    return { run, row, states };
  };

  it("answers within its bound, stays `stopping` and on record, and becomes `exited` by itself once it has gone", async () => {
    const [container, clock] = [new StubbornContainer(), new ManualClock()];
    const { run, states } = make(container, clock);
    await assert.rejects(run.start({ command: "true", args: [], env: {} }), { code: "spawn_failed" });
    const { state, survivors, endReason } = run.summary();
    assert.deepEqual([state, survivors.map(({ pid }) => pid), endReason], ["stopping", [stranger.pid], "spawn-failed"]);
    const [open] = ledger.open();
    assert.deepEqual(
      [open?.state, JSON.parse(open?.survivors ?? "null")],
      ["stopping", [{ pid: stranger.pid, startTime: "1" }]],
    );
    const tries = async (ms: number) => {
      const before = container.ends.length;
      for (let passed = 0; passed < ms; passed += 100) {
        clock.advance(100);
        await turn();
      }
      return container.ends.length - before;
    };
    assert.deepEqual([await tries(900), await tries(100), await tries(2000), await tries(4000)], [0, 1, 1, 1]);
    assert.equal(await tries(300_000), 11, "slowly less often, up to every 30 s");
    container.left = [];
    await tries(30_000);
    await until("it is exited", () => run.state === "exited", { boundMs: 2000 });
    assert.equal(states.at(-1), "exited");
    assert.deepEqual([ledger.open(), ledger.find(run.id)?.endReason], [[], "spawn-failed"]);
    assert.equal(clock.pending, 0);
    assert.equal((await run.end("shutdown")).state, "exited");
  });

  it("is looked at again whenever it is asked, by whomever: one look for those who ask at one time", async () => {
    const [container, clock] = [new StubbornContainer(), new ManualClock()];
    const { run } = make(container, clock);
    await run.start({ command: "true", args: [], env: {} }).catch(() => {});
    const before = container.ends.length;
    const views = await Promise.all([run.end("cancelled"), run.end("shutdown"), run.end("timeout", true)]);
    assert.deepEqual(
      views.map(({ survivors }) => survivors.length),
      [1, 1, 1],
    );
    assert.equal(container.ends.length, before + 1);
    container.left = [];
    const view = await run.end("cancelled");
    assert.deepEqual([view.state, view.survivors, clock.pending], ["exited", [], 0]);
  });

  it("has no timer any more once its keeper leaves it to the next", async () => {
    const [container, clock] = [new StubbornContainer(), new ManualClock()];
    const { run } = make(container, clock);
    await run.start({ command: "true", args: [], env: {} }).catch(() => {});
    run.leave();
    assert.equal(clock.pending, 0);
  });

  const epochLeaving = (left: () => LeftProcess[], ended: LeftProcess[] = []): Epoch => ({
    tier: "subreaper",
    proof: "kernel",
    create: () => new StubbornContainer(),
    watchdog: () => assert.fail("not asked for"),
    sweepEarlier: async () => ({ ended, left: left() }),
    endStrays: async () => ({ ended: [], left: [] }),
    close() {},
  });
  const leftOf = (run: string): LeftProcess => ({ ...self(), run, state: "uninterruptible", command: "sleep 1000" });

  it("is not closed by the next start: its row stays open, is shown and tried again until it has gone", async () => {
    ledger.intend(rowOf("r1-0000000a"));
    ledger.intend(rowOf("r1-0000000b"));
    ledger.intend(rowOf("r1-0000000c"));
    let left = [leftOf("r1-0000000a")];
    const fences = epochLeaving(() => left, [{ ...leftOf("r1-0000000b"), pid: 999_999_998 }]);
    const clock = new ManualClock();
    const parts = { ledger, fences, log: opened.log, clock, platform };
    const found = await reconcile(parts);
    assert.deepEqual(
      ledger.open().map(({ id }) => id),
      ["r1-0000000a"],
    );
    assert.deepEqual([found.swept, found.left.map(({ row }) => row.id)], [1, ["r1-0000000a"]]);
    const words = found.findings.join("\n");
    assert.match(words, /^ended pid 999999998 of run r1-0000000b/m);
    assert.match(words, new RegExp(`^could not end pid ${process.pid} \\(state D\\) of run r1-0000000a`, "m"));
    assert.match(words, /^run r1-0000000a is still not over/m);
    assert.doesNotMatch(words, new RegExp(`^ended pid ${process.pid} `, "m"));
    assert.equal(ledger.find("r1-0000000b")?.endReason, "orphan-swept");
    assert.equal(ledger.find("r1-0000000c")?.endReason, "keeper-lost");
    const leftovers = new Leftovers(parts);
    leftovers.hold(found.left);
    assert.deepEqual(
      leftovers.views().map(({ id, state, survivors }) => [id, state, survivors[0]?.pid]),
      [["r1-0000000a", "stopping", process.pid]],
    );
    assert.equal((await leftovers.end("r1-0000000a"))?.state, "stopping", "asked for, it is still there");
    left = [];
    clock.advance(30_000);
    await until("it is closed", () => leftovers.size === 0, { boundMs: 10_000 });
    assert.deepEqual([ledger.open(), clock.pending], [[], 0]);
  });

  it("is known to the next start by what was put on record, also where nobody can see whose it is", async () => {
    const alive = JSON.stringify([{ pid: process.pid, startTime: self().startTime }]);
    const cases: [id: string, survivors: string | null, isLeft: boolean][] = [
      ["r1-00000001", alive, true],
      ["r1-00000002", JSON.stringify([{ pid: process.pid, startTime: "1" }]), false],
      ["r1-00000003", "no JSON", false],
      ["r1-00000004", JSON.stringify({ pid: process.pid }), false],
      ["r1-00000005", JSON.stringify([null, { pid: "7" }]), false],
      ["r1-00000006", null, false],
    ];
    for (const [id, survivors] of cases) {
      ledger.intend(rowOf(id));
      ledger.changed(rowOf(id, { state: "stopping", survivors }));
    }
    const otherBoot = rowOf("r1-00000007", { bootId: "another boot" });
    ledger.intend(otherBoot);
    ledger.changed({ ...otherBoot, state: "stopping", survivors: alive });
    const fences = epochLeaving(() => []);
    const found = await reconcile({
      ledger,
      fences,
      log: opened.log,
      clock: systemClock,
      platform,
    });
    const left = cases.filter(([, , isLeft]) => isLeft).map(([id]) => id);
    assert.deepEqual(
      found.left.map(({ row }) => row.id),
      left,
    );
    assert.deepEqual(
      ledger.open().map(({ id }) => id),
      left,
    );
  });
});
