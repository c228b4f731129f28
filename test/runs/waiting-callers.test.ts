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

function begin() {
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
    clock,
  );
  return { clock, session, asked, over, callers };
}

describe("a command whose caller", () => {
  it("leaves has SIGTERM and its end at once after a moment, and a second later no grace", async () => {
    const { clock, session, asked, over, callers } = begin();
    const leave = session.lease.hold();
    callers.watch("r1", session, () => over.promise);
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
    callers.watch("r1", session, () => over.promise);
    callers.watch("r1", session, () => over.promise);
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
    const { clock, session, asked, over, callers } = begin();
    const other = begin().session;
    const leave = session.lease.hold();
    callers.watch("r1", session, () => over.promise);
    callers.watch("r1", other, () => over.promise);
    leave();
    clock.advance(1000);
    await turns();
    assert.deepEqual(asked, []);
  });

  it("ends its session in order detached from it; one whose lease expires is lost", async () => {
    for (const [reason, count] of [["session-ended", 0], ["lease-expired", 2]] as const) {
      const { clock, session, asked, over, callers } = begin();
      session.lease.hold();
      callers.watch("r1", session, () => over.promise);
      await session.close(reason);
      clock.advance(1);
      await turns();
      assert.equal(asked.length, count, reason);
      callers.watch("r2", session, () => over.promise);
      over.resolve();
    }
  }); // prettier-ignore

  it("leaves after its end is told nothing, and a front that ends ends no run for it", async () => {
    const ended = begin();
    const leave = ended.session.lease.hold();
    ended.callers.watch("r1", ended.session, () => ended.over.promise);
    ended.over.resolve();
    await turns();
    leave();
    ended.clock.advance(1000);
    await turns();
    assert.deepEqual(ended.asked, []);
    const closed = begin();
    const go = closed.session.lease.hold();
    closed.callers.watch("r1", closed.session, () => closed.over.promise);
    closed.callers.close();
    go();
    closed.clock.advance(1000);
    await turns();
    await closed.callers.endLost("r1");
    assert.deepEqual(closed.asked, []);
  });
});
