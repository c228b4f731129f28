/** Sessions end once, for one reason, with all they own; and there are never more than the cap. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EndReason } from "../../src/protocol/run.ts";
import { systemRandom } from "../../src/random.ts";
import { HoldfastError } from "../../src/errors.ts";
import { Scope } from "../../src/ownership/scope.ts";
import { SessionSet } from "../../src/sessions/set.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const admin = { id: "first", scopes: new Set(["admin" as const]) };
const client = { name: "test", version: "1" };

function make(limits = { idleLeaseMs: 1000, sessionsMax: 3 }) {
  const clock = new ManualClock();
  const root = new Scope("gateway");
  const logged: string[] = [];
  const set = new SessionSet(root, { clock, random: systemRandom }, limits, (event) => void logged.push(event));
  return {
    clock,
    root,
    set,
    logged,
    open: (parentId: string | null = null) => set.open({ client, server: "s", parentId }, null),
  };
}

describe("session set", () => {
  it("gives ids that cannot be guessed: 192 random bits, never the same", () => {
    const { open } = make({ idleLeaseMs: 1000, sessionsMax: 1000 });
    const ids = Array.from({ length: 200 }, () => open().id);
    assert.equal(new Set(ids).size, 200);
    for (const id of ids) assert.match(id, /^[A-Za-z0-9_-]{32}$/);
  });

  it("refuses a session above the cap and names the key; an ended one makes room", async () => {
    const { set, open } = make();
    const first = open();
    open();
    open();
    assert.throws(
      () => open(),
      (error: HoldfastError) => error.code === "session_limit" && error.message.includes("session.sessionsMax = 3"),
    );
    await first.close("session-ended");
    open();
    assert.equal(set.size, 3);
  });

  it("ends an idle session with its lease's reason, and what it owned with it", async () => {
    const { clock, set, open } = make();
    const session = open();
    const reasons: EndReason[] = [];
    session.scope.add({ close: async (reason) => void reasons.push(reason) }, "run");
    clock.advance(1000);
    assert.equal(set.get(session.id), undefined);
    await session.close("shutdown");
    assert.deepEqual(reasons, ["lease-expired"]);
    assert.equal(clock.pending, 0);
  });

  it("keeps a parent that says nothing as long as somebody speaks to its children, and no longer", async () => {
    const { clock, set, open } = make();
    const parent = open();
    const child = open(open(parent.id).id);
    for (let round = 0; round < 3; round += 1) {
      clock.advance(900);
      child.lease.hold()();
    }
    const leave = child.lease.hold();
    clock.advance(5000);
    assert.equal(set.size, 3, "a call of the child's is under way");
    leave();
    clock.advance(999);
    assert.equal(set.size, 3);
    clock.advance(1);
    assert.equal(set.size, 0);
    await parent.close("shutdown");
    assert.equal(clock.pending, 0);
  });

  it("is not found from the moment its end begins, while its tree is still being ended", async () => {
    const { root, set, open } = make();
    const session = open();
    const gate = Promise.withResolvers<void>();
    session.scope.add({ close: () => gate.promise }, "stubborn");
    const gone = set.end(session.id, "session-ended", admin);
    assert.equal(set.get(session.id), undefined);
    assert.deepEqual(set.list(admin), []);
    const closing = root.close("shutdown");
    let rootGone = false;
    void closing.then(() => (rootGone = true));
    await new Promise(setImmediate);
    assert.equal(rootGone, false, "the gateway's scope must wait for a session that is ending");
    gate.resolve();
    await Promise.all([gone, closing]);
  });

  it("logs what could not be ended, and still lets the session go", async () => {
    const { set, open, logged } = make();
    const session = open();
    session.scope.add({ close: () => Promise.reject(new Error("D state")) }, "run r1");
    const { failures } = await set.end(session.id, "session-ended", admin);
    assert.equal(failures.length, 1);
    assert.deepEqual(logged, ["session.opened", "session.ended", "session.leftover"]);
  });

  it("throws session_unknown for an id that is not there", () => {
    const { set } = make();
    assert.throws(() => set.end("nobody", "session-ended", admin), { code: "session_unknown" });
  });

  it("closes at once a session that is opened while the gateway's scope ends", async () => {
    const { root, set, open } = make();
    await root.close("shutdown");
    const session = open();
    assert.equal(session.ended, true);
    assert.equal(set.size, 0);
  });

  it("shows what `sessions list` prints", () => {
    const { clock, set, open } = make();
    const session = open();
    session.runs.add("r1-0001");
    clock.advance(500);
    session.lease.hold()();
    assert.deepEqual(set.list(admin), [
      {
        id: session.id,
        kind: "mcp",
        client,
        parentId: null,
        createdAt: 1_000_000,
        lastSeenAt: 1_000_500,
        leaseMs: 1000,
        present: false,
        server: "s",
        runs: ["r1-0001"],
      },
    ]);
  });
});
