/** The limits of a run in time, and the guardian without which nothing is started. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { Guardian } from "../../src/keeper/guardian.ts";
import { RestartIntensity } from "../../src/keeper/intensity.ts";
import { RunTimers, type RunTimes } from "../../src/keeper/run-timers.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const turns = async () => {
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
};

describe("a run", () => {
  function begin(given: Partial<RunTimes>) {
    const clock = new ManualClock();
    const over: string[] = [];
    const state = { activeAt: clock.monotonic(), looks: 0 };
    const none = { timeoutMs: 0, noOutputTimeoutMs: 0, maxLifetimeMs: 0, leaseMs: 0, keepMs: 1000 };
    const timers = new RunTimers(
      { ...none, ...given },
      {
        clock,
        lastActivityAt: () => state.activeAt,
        onOver: (reason) => void over.push(reason),
        look: () => void (state.looks += 1),
      },
    );
    timers.start();
    return { clock, over, timers, state };
  }

  it("has its command's time, which is over with the command, and the whole of its tree's", () => {
    const timed = begin({ timeoutMs: 1000 });
    timed.clock.advance(999);
    assert.deepEqual(timed.over, []);
    timed.clock.advance(1);
    assert.deepEqual(timed.over, ["timeout"]);
    const ended = begin({ timeoutMs: 1000, maxLifetimeMs: 5000 });
    ended.timers.commandEnded();
    ended.clock.advance(4999);
    assert.deepEqual(ended.over, []);
    ended.clock.advance(1);
    assert.deepEqual(ended.over, ["lease-expired"]);
    assert.equal(begin({}).clock.pending, 0, "without limits there is nothing to wait for");
  });

  it("that says nothing, is told nothing and is not looked at ends; any of these gives it the whole time again", () => {
    const { clock, over, state } = begin({ noOutputTimeoutMs: 1000 });
    clock.advance(900);
    state.activeAt = clock.monotonic();
    clock.advance(999);
    assert.deepEqual(over, []);
    state.activeAt = Number.POSITIVE_INFINITY;
    clock.advance(10_000);
    assert.deepEqual(over, []);
    state.activeAt = clock.monotonic();
    clock.advance(2000);
    assert.deepEqual(over, ["no-output"]);
  });

  it("lives as long as its lease is renewed, and one without a lease needs no renewal", () => {
    const { clock, over, timers } = begin({ leaseMs: 1000 });
    for (let round = 0; round < 5; round += 1) {
      clock.advance(900);
      assert.equal(timers.renew(), true);
    }
    clock.advance(999);
    assert.deepEqual(over, []);
    clock.advance(1);
    assert.deepEqual(over, ["lease-expired"]);
    assert.equal(begin({}).timers.renew(), false);
  });

  it("outlives its front for its time, counted anew with each front that is lost", () => {
    const { clock, over, timers } = begin({ keepMs: 1000 });
    timers.frontLost();
    clock.advance(999);
    timers.frontBack();
    clock.advance(5000);
    assert.deepEqual([over, clock.pending], [[], 0]);
    timers.frontLost();
    clock.advance(1000);
    assert.deepEqual(over, ["front-lost"]);
    const tied = begin({ keepMs: 0 });
    tied.timers.frontLost();
    assert.deepEqual(tied.over, ["front-lost"]);
  });

  it("whose command has ended is looked at every second until it is over, and then nothing goes on", () => {
    const { clock, state, timers } = begin({ timeoutMs: 60_000, leaseMs: 60_000 });
    timers.commandEnded();
    timers.commandEnded();
    clock.advance(3000);
    assert.equal(state.looks, 3);
    timers[Symbol.dispose]();
    assert.equal(clock.pending, 0);
  });
});

describe("restarts", () => {
  it("are as many within a time as may be, and those before it do not count", () => {
    const intensity = new RestartIntensity(2, 1000);
    assert.deepEqual([0, 500, 999, 2000].map((now) => intensity.allows(now)), [true, true, false, true]);
    const next = new RestartIntensity(1, 1000);
    assert.deepEqual([0, 1000, 1999].map((now) => next.allows(now)), [true, true, false]);
  });
}); // prettier-ignore

describe("the guardian", () => {
  function begin() {
    const clock = new ManualClock();
    const lives: { ready: () => void; dies: () => void; guarded: number[]; told: string[]; stderr: EventEmitter }[] = [];
    const told: string[] = [];
    const guardian = new Guardian({
      clock,
      platform: { identify: (pid: number) => ({ pid, startTime: `t${pid}`, bootId: "b" }) } as never,
      spawn: () => {
        const [ready, exit] = [Promise.withResolvers<void>(), Promise.withResolvers<object>()];
        const pid = lives.length + 1;
        const dies = () => exit.resolve({ code: null, signal: "SIGKILL", refused: null });
        const life = { ready: ready.resolve, dies, guarded: [] as number[], told: [] as string[], stderr: new EventEmitter() };
        lives.push(life);
        return {
          pid,
          stderr: life.stderr,
          exit: exit.promise,
          ready: ready.promise,
          guard: (front: { pid: number }) => void life.guarded.push(front.pid),
          dismiss: () => (life.told.push("dismiss"), exit.resolve({ code: 0, signal: null, refused: null })),
          signal: (name: string) => (life.told.push(name), dies()),
        } as never;
      },
      crashes: { record: ({ who, pid, signal }: { who: string; pid: number; signal: string }, stderr: string) => void told.push(`${who} ${pid} ${signal} ${stderr}`) } as never,
      onRestart: () => void told.push("restart"),
      onRefused: (why) => void told.push(`refused ${why}`),
      onGivenUp: ({ code }) => void told.push(`given up ${code}`),
    });
    return { clock, guardian, lives, told };
  } // prettier-ignore

  it("is on watch before anything is started, names itself, and watches the front that there is", async () => {
    const { guardian, lives, told, clock } = begin();
    const starting = guardian.start();
    await turns();
    guardian.watchFront(50);
    assert.deepEqual([guardian.state, lives[0]?.guarded], ["starting", []]);
    lives[0]!.ready();
    await starting;
    assert.deepEqual([guardian.mustWatch(), lives[0]?.guarded, told], [undefined, [50], []]);
    guardian.watchFront(51);
    assert.deepEqual(lives[0]?.guarded, [50, 51]);
    assert.deepEqual(guardian.identity(), { pid: 1, startTime: "t1" });
    await guardian.dismiss();
    assert.deepEqual([lives[0]?.told, told, clock.pending], [["dismiss"], [], 0]);
  });

  it("that dies is put on record and replaced, and who wants to start something waits for the next one", async () => {
    const { guardian, lives, told, clock } = begin();
    const starting = guardian.start();
    await turns();
    lives[0]!.ready();
    await starting;
    guardian.watchFront(50);
    lives[0]!.stderr.emit("data", Buffer.from("oh"));
    lives[0]!.dies();
    await turns();
    clock.advance(100);
    await turns();
    const waiting = guardian.mustWatch();
    assert.ok(waiting instanceof Promise);
    lives[1]!.ready();
    await waiting;
    assert.deepEqual(told, ["guardian 1 SIGKILL oh", "restart"]);
    assert.deepEqual(lives[1]?.guarded, [50], "the new one watches the front too");
    await guardian.dismiss();
  });

  it("that never gets ready is killed, and meanwhile nothing is started", async () => {
    const { guardian, lives, clock } = begin();
    const starting = guardian.start().then(() => "started", ({ code }: { code: string }) => code);
    await turns();
    const refused = guardian.mustWatch()!.then(() => "on watch", ({ code }: { code: string }) => code);
    await turns();
    clock.advance(2000);
    await turns();
    assert.equal(await refused, "guardian_down");
    clock.advance(3000);
    await turns();
    assert.deepEqual(lives[0]?.told, ["kill"]);
    assert.equal(await starting, "spawn_failed");
    await guardian.dismiss();
  }); // prettier-ignore
});
