/** A command that somebody waits for ends when nobody does any more, and only then. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemRandom } from "../../src/random.ts";
import { Scope } from "../../src/ownership/scope.ts";
import { Callers } from "../../src/runs/callers.ts";
import { SessionSet } from "../../src/sessions/set.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const turns = async () => {
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
};

/** What the next front reads. */
class Stored {
  readonly rows = new Map<string, string>();
  runCallers = () => [...this.rows].map(([run, sessionId]) => ({ run, sessionId }));
  runAwaited = (run: string, sessionId: string) => void this.rows.set(run, sessionId);
  runUnawaited = (run: string) => void this.rows.delete(run);
}

function begin(store = new Stored()) {
  const clock = new ManualClock();
  const limits = { idleLeaseMs: 60_000, sessionsMax: 10 };
  const set = new SessionSet(new Scope("gateway"), { clock, random: systemRandom }, limits, () => {});
  const session = set.open({ client: { name: "test", version: "1" } }, null);
  const asked: string[] = [];
  const over = Promise.withResolvers<void>();
  const callers = new Callers(
    {
      end: async ({ run, hurried }) => {
        asked.push(`end ${run}${hurried ? " now" : ""}`);
        await over.promise;
        return {} as never;
      },
      signal: async ({ run, signal }) => (asked.push(`${signal} ${run}`), null),
    },
    { clock, store, over: () => over.promise },
  );
  return { clock, set, session, asked, over, callers, store };
}

describe("a command whose caller", () => {
  it("leaves has SIGTERM and its end at once after a moment, and a second later no grace", async () => {
    const { clock, session, asked, over, callers } = begin();
    const leave = session.lease.hold();
    callers.watch("r1", session);
    leave();
    clock.advance(249);
    await turns();
    assert.deepEqual(asked, []);
    clock.advance(1);
    await turns();
    assert.deepEqual(asked, ["end r1", "SIGTERM r1"]);
    clock.advance(999);
    await turns();
    assert.equal(asked.length, 2);
    clock.advance(1);
    await turns();
    assert.deepEqual(asked.slice(2), ["end r1 now"]);
    over.resolve();
  });

  it("comes back within a quarter of a second goes on, and ends when it leaves for good", async () => {
    const { clock, session, asked, over, callers } = begin();
    let leave = session.lease.hold();
    callers.watch("r1", session);
    callers.watch("r1", session);
    leave();
    clock.advance(100);
    leave = session.lease.hold();
    clock.advance(10_000);
    await turns();
    assert.deepEqual(asked, []);
    leave();
    clock.advance(250);
    await turns();
    assert.deepEqual(asked, ["end r1", "SIGTERM r1"], "once, though it is watched twice");
    over.resolve();
    await turns();
    clock.advance(5000);
    await turns();
    assert.equal(asked.length, 2, "what has ended in time is not hurried");
  });

  it("is another one by now is that one's: the first may go", async () => {
    const { clock, session, asked, callers } = begin();
    const other = begin().session;
    const leave = session.lease.hold();
    callers.watch("r1", session);
    callers.watch("r1", other);
    leave();
    clock.advance(1000);
    await turns();
    assert.deepEqual(asked, []);
  });

  it("ends its session in order detached from it; one whose lease expires is lost", async () => {
    for (const [reason, count] of [["session-ended", 0], ["lease-expired", 2]] as const) {
      const { clock, session, asked, over, callers } = begin();
      session.lease.hold();
      callers.watch("r1", session);
      await session.close(reason);
      clock.advance(1);
      await turns();
      assert.equal(asked.length, count, reason);
      callers.watch("r2", session);
      over.resolve();
    }
  }); // prettier-ignore

  it("leaves after its end is told nothing, and a front that ends ends no run for it", async () => {
    const ended = begin();
    const leave = ended.session.lease.hold();
    ended.callers.watch("r1", ended.session);
    ended.over.resolve();
    await turns();
    leave();
    ended.clock.advance(1000);
    await turns();
    assert.deepEqual(ended.asked, []);
    const closed = begin();
    const go = closed.session.lease.hold();
    closed.callers.watch("r1", closed.session);
    closed.callers.close();
    go();
    closed.clock.advance(1000);
    await turns();
    await closed.callers.endLost("r1");
    assert.deepEqual(closed.asked, []);
  });

  it("is killed with the front, or before the next one hears of it, ends with the lease of its session", async () => {
    const first = begin();
    first.session.lease.hold();
    first.callers.watch("r1", first.session);
    const next = begin(first.store);
    next.callers.begin(() => next.session);
    next.clock.advance(59_999);
    await turns();
    assert.deepEqual(next.asked, []);
    next.clock.advance(1);
    await turns();
    assert.deepEqual(next.asked, ["end r1", "SIGTERM r1"]);
    next.over.resolve();
  });

  it("comes back to the next front goes on, and ends when it leaves that one", async () => {
    const first = begin();
    first.callers.watch("r1", first.session);
    const next = begin(first.store);
    next.callers.begin(() => next.session);
    const leave = next.session.lease.hold();
    next.clock.advance(120_000);
    await turns();
    assert.deepEqual(next.asked, []);
    leave();
    next.clock.advance(250);
    await turns();
    assert.deepEqual(next.asked, ["end r1", "SIGTERM r1"]);
    next.over.resolve();
  });

  it("has no session at the next front is gone: its command ends, and is forgotten", async () => {
    const first = begin();
    first.callers.watch("r1", first.session);
    const next = begin(first.store);
    next.callers.begin(() => undefined);
    await turns();
    assert.deepEqual(next.asked, ["end r1", "SIGTERM r1"]);
    next.over.resolve();
    await turns();
    assert.deepEqual([...next.store.rows], []);
  });

  it("is stored for as long as it waits, and no longer", async () => {
    for (const end of ["over", "detached"] as const) {
      const { store, callers, session, over } = begin();
      callers.watch("r1", session);
      assert.deepEqual([...store.rows], [["r1", session.id]]);
      if (end === "over") over.resolve();
      else await session.close("session-ended");
      await turns();
      assert.deepEqual([...store.rows], [], end);
      over.resolve();
    }
  });
});
