/** The supervisor of front and guardian, in a simulation: time by hand, helpers that do what the test says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HoldfastError } from "../../src/errors.ts";
import { RestartIntensity } from "../../src/keeper/intensity.ts";
import { Ending } from "../../src/keeper/keeper-life.ts";
import { Supervisor, transition, type HelperEnd, type SupervisorState } from "../../src/keeper/supervisor.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const exited: HelperEnd = { exitCode: 0, signal: null, refused: null };
const killed: HelperEnd = { exitCode: null, signal: "SIGKILL", refused: null };
const startMs = 300;
const drainMs = 200;

interface Behavior {
  /** How the system refuses to start one; `throws`: at once, else in the next turn. */
  refusal?: (n: number) => { why: string; throws?: boolean } | undefined;
  /** Milliseconds until the nth serves; undefined = it never does. */
  servesAfterMs?: (n: number) => number | undefined;
  ignoresDrain?: boolean;
  ignoresKill?: boolean;
  restartsMax?: number;
}

/** A supervisor over helpers of this clock. */
class World {
  readonly clock = new ManualClock();
  readonly supervisor: Supervisor<{ pid: number; drain(): void; kill(): void; end(how: HelperEnd): void }>;
  readonly ends: (HelperEnd & { planned: boolean })[] = [];
  readonly startedAt: number[] = [];
  alive = 0;
  mostAlive = 0;
  givenUp = 0;
  /** What each helper was told to be configured by, the last one last. */
  told = 0;
  config = 1;

  constructor(behavior: Behavior = {}) {
    const { refusal, servesAfterMs = () => startMs, ignoresDrain, ignoresKill, restartsMax = 5 } = behavior;
    let tries = 0;
    this.supervisor = new Supervisor({
      clock: this.clock,
      intensity: new RestartIntensity(restartsMax, 60_000),
      drainBoundMs: 1000,
      onStart: () => (this.told = this.config),
      onEnd: (end, planned) => this.ends.push({ ...end, planned }),
      onGivenUp: () => (this.givenUp += 1),
      spawn: (onEnd) => {
        const n = ++tries;
        this.startedAt.push(this.clock.monotonic());
        const refused = refusal?.(n);
        if (refused?.throws === true) throw new Error(refused.why);
        if (refused !== undefined) {
          this.clock.after(0, () => onEnd({ exitCode: null, signal: null, refused: refused.why }));
          return { pid: 0, drain() {}, kill() {}, end() {} };
        }
        this.alive += 1;
        this.mostAlive = Math.max(this.mostAlive, this.alive);
        let isAlive = true;
        const end = (how: HelperEnd) => {
          if (!isAlive) return;
          isAlive = false;
          this.alive -= 1;
          onEnd(how);
        };
        const servesMs = servesAfterMs(n);
        if (servesMs !== undefined) this.clock.after(servesMs, () => isAlive && this.supervisor.serves());
        return {
          pid: n,
          drain: () => void (ignoresDrain === true || this.clock.after(drainMs, () => end(exited))),
          kill: () => void (ignoresKill === true || this.clock.after(1, () => end(killed))),
          end,
        };
      },
    });
  }

  serving(): this {
    this.supervisor.start();
    this.clock.advance(startMs);
    assert.equal(this.supervisor.state, "serving");
    return this;
  }
}

/** Whether a promise has settled by now. */
async function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol("open");
  return (await Promise.race([promise, new Promise((resolve) => setImmediate(() => resolve(open)))])) !== open;
}

/** The four requests of a gateway, by the rules that the keeper has: one supervisor, one ending. */
class SimulatedGateway {
  readonly world = new World().serving();
  readonly ending = new Ending();
  ended: { again: boolean } | undefined;
  refusedReloads = 0;
  readonly promises: Promise<unknown>[] = [];

  readonly requests = {
    restart: () => void this.promises.push(this.world.supervisor.restart("restart")),
    "restart --all": () => void this.promises.push(this.ending.request({ again: true }, () => this.#close())),
    stop: () => void this.promises.push(this.ending.request({}, () => this.#close())),
    reload: () => {
      if (this.ending.isUnderWay) {
        this.refusedReloads += 1;
        return;
      }
      this.world.config += 1;
      if (this.world.supervisor.helper !== undefined) this.world.told = this.world.config;
    },
  };

  async #close(): Promise<void> {
    await this.world.supervisor.close("shutdown");
    this.ended = { again: this.ending.asked.again };
  }
}

type Request = keyof SimulatedGateway["requests"];
const requests: Request[] = ["restart", "restart --all", "stop", "reload"];
/** Beside each other; while the old front drains; while the new one starts; when it serves. */
const offsets = [0, 1, drainMs - 1, drainMs, drainMs + 1, drainMs + startMs - 1, drainMs + startMs, 2000];

describe("two requests, one after the other", () => {
  for (const first of requests) {
    for (const second of requests) {
      it(`${first}, then ${second}: one front at a time, and the rule decides what stands`, async () => {
        for (const offset of offsets) {
          const gateway = new SimulatedGateway();
          const { world } = gateway;
          gateway.requests[first]();
          for (let ms = 0; ms < offset; ms += 1) world.clock.advance(1);
          await hasSettled(Promise.resolve());
          const wasOver = gateway.ended !== undefined;
          gateway.requests[second]();
          for (let ms = 0; ms < 3000; ms += 50) {
            world.clock.advance(50);
            await hasSettled(Promise.resolve());
          }
          const at = `at ${offset} ms`;
          assert.equal(world.mostAlive, 1, at);
          for (const promise of gateway.promises) assert.ok(await hasSettled(promise), `a request is left open ${at}`);
          const asked = wasOver ? [first] : [first, second];
          if (asked.includes("stop")) assert.deepEqual([gateway.ended, world.alive], [{ again: false }, 0], at);
          else if (asked.includes("restart --all"))
            assert.deepEqual([gateway.ended, world.alive], [{ again: true }, 0], at);
          else {
            assert.deepEqual([gateway.ended, world.alive, world.supervisor.state], [undefined, 1, "serving"], at);
            assert.equal(world.told, world.config, `the front that serves has the newest config ${at}`);
            const restarts = [first, second].filter((request) => request === "restart").length;
            const joined = restarts === 2 && offset < drainMs + startMs ? 1 : restarts;
            assert.equal(world.supervisor.restarts, joined, at);
          }
          const endsFirst = first === "stop" || first === "restart --all";
          assert.equal(gateway.refusedReloads, endsFirst && second === "reload" ? 1 : 0, at);
          assert.equal(world.clock.pending, 0, `no timer is left ${at}`);
        }
      });
    }
  }

  it("a failure stands over a stop and over a restart of everything", async () => {
    for (const first of [{ again: true }, {}]) {
      const ending = new Ending();
      const error = new HoldfastError("internal", "the front died too often");
      await ending.request(first, () => Promise.resolve());
      await ending.request({ error }, () => Promise.reject(new Error("only the first closes")));
      assert.deepEqual([ending.asked.error, ending.asked.again], [error, false]);
    }
  });
});

describe("a helper's states", () => {
  it("take the moves of the table, and throw on every other", () => {
    const states: SupervisorState[] = ["idle", "starting", "serving", "draining", "gone"];
    const moves = states.flatMap((from) => states.map((to) => `${from} ${to}`));
    const legal = new Set([
      "idle starting",
      "idle gone",
      "starting serving",
      "starting draining",
      "starting gone",
      "serving draining",
      "serving gone",
      "draining gone",
      "gone starting",
    ]);
    for (const move of moves) {
      const [from, to] = move.split(" ") as [SupervisorState, SupervisorState];
      if (legal.has(move)) assert.equal(transition(from, to), to);
      else assert.throws(() => transition(from, to), { code: "internal" }, move);
    }
  });
});

describe("a helper that cannot be started", () => {
  for (const throws of [true, false]) {
    for (const why of ["spawn EAGAIN", "spawn ENOENT", "spawn EMFILE"]) {
      it(`is tried again until it can be, and is no death: ${why} ${throws ? "at once" : "in the next turn"}`, () => {
        const world = new World({ restartsMax: 1, refusal: (n) => (n > 1 && n < 40 ? { why, throws } : undefined) });
        world.serving();
        world.supervisor.helper?.end(killed);
        world.clock.advance(5000);
        assert.deepEqual([world.supervisor.state, world.supervisor.problem, world.alive], ["gone", why, 0]);
        const waits = world.startedAt.slice(1).map((at, index, all) => at - (all[index - 1] ?? at));
        assert.deepEqual(waits.slice(1, 6), [200, 400, 800, 1000, 1000]);
        world.clock.advance(60_000);
        assert.deepEqual(
          [world.supervisor.state, world.supervisor.problem, world.givenUp, world.mostAlive],
          ["serving", null, 0, 1],
        );
      });
    }
  }

  it("is told to whoever waits for one: served in time, or not", async () => {
    const world = new World({ refusal: (n) => (n < 3 ? { why: "spawn EAGAIN" } : undefined) });
    world.supervisor.start();
    const [soon, late] = [world.supervisor.whenServing(50), world.supervisor.whenServing(5000)];
    world.clock.advance(5000);
    assert.deepEqual(await Promise.all([soon, late, world.supervisor.whenServing(0)]), [false, true, true]);
    world.supervisor.helper?.end(killed);
    const never = world.supervisor.whenServing(10_000);
    const closed = world.supervisor.close("shutdown");
    world.clock.advance(drainMs);
    await closed;
    assert.equal(await never, false);
  });

  it("is not tried again after a stop", async () => {
    const world = new World({ refusal: (n) => (n > 1 ? { why: "spawn EAGAIN" } : undefined) });
    world.serving().supervisor.helper?.end(killed);
    world.clock.advance(50);
    await world.supervisor.close("shutdown");
    const tries = world.startedAt.length;
    world.clock.advance(10_000);
    assert.deepEqual([world.startedAt.length, world.clock.pending], [tries, 0]);
  });
});

describe("a helper that dies", () => {
  it("is replaced at once; one that dies again before it serves waits longer each time", () => {
    const world = new World({ servesAfterMs: (n) => (n === 1 ? startMs : undefined), restartsMax: 10 }).serving();
    for (let n = 0; n < 4; n += 1) {
      world.supervisor.helper?.end(killed);
      world.clock.advance(1000);
    }
    const waits = world.startedAt.slice(1).map((at, index) => at - (world.startedAt[index] ?? 0));
    assert.deepEqual(waits, [startMs, 1000 + 200, 800 + 400, 600 + 800]);
  });

  it("too often is given up, once, and a wall clock that is set back or forward changes nothing of the count", () => {
    for (const setByMs of [0, -3_600_000, 3_600_000]) {
      const world = new World({ restartsMax: 3 }).serving();
      const kill = () => {
        world.supervisor.helper?.end(killed);
        world.clock.advance(startMs);
      };
      for (let n = 0; n < 3; n += 1) kill();
      world.clock.setWallClock(setByMs);
      // A minute later those three do not count any more.
      world.clock.advance(60_000);
      for (let n = 0; n < 3; n += 1) kill();
      assert.equal(world.givenUp, 0);
      kill();
      assert.deepEqual([world.givenUp, world.supervisor.state, world.alive], [1, "gone", 0]);
    }
  });
});

describe("the end of a helper", () => {
  it("is forced when it does not drain, and a new one starts only then", async () => {
    const world = new World({ ignoresDrain: true }).serving();
    const restarted = world.supervisor.restart("restart");
    world.clock.advance(999);
    assert.deepEqual([world.alive, world.startedAt.length], [1, 1]);
    world.clock.advance(1000);
    await restarted;
    assert.deepEqual([world.mostAlive, world.startedAt.length, world.ends[0]?.planned], [1, 2, true]);
  });

  it("is bounded when the kernel cannot take it down, also for a stop during a restart", async () => {
    for (const before of ["serving", "draining"] as const) {
      const world = new World({ ignoresDrain: true, ignoresKill: true }).serving();
      if (before === "draining") {
        void world.supervisor.restart("restart");
        world.clock.advance(20_000);
      }
      const closed = world.supervisor.close("shutdown");
      assert.equal(await hasSettled(closed), false);
      world.clock.advance(3000);
      assert.equal(await hasSettled(closed), true);
      assert.equal(world.startedAt.length, 1, "nothing is started beside it");
    }
  });
});
