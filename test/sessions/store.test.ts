/** Sessions outlive their front: what the next one needs is on disk, private, bounded, and never a reason to fail. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { EndReason } from "../../src/protocol/run.ts";
import { systemRandom } from "../../src/random.ts";
import { Scope } from "../../src/ownership/scope.ts";
import { SessionSet } from "../../src/sessions/set.ts";
import { SessionStore } from "../../src/sessions/store.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { needsNamespace } from "../helpers/needs.ts";
import { SmallDisk } from "../helpers/small-disk.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";

const admin = { id: "first", scopes: new Set(["admin" as const]) };
const client = { name: "agent", version: "2" };
const limits = { idleLeaseMs: 60_000, sessionsMax: 100 };

describe("session store", () => {
  leavesNothing();
  let directory = "";
  let stores: SessionStore[] = [];
  let logged: string[] = [];
  const clock = new ManualClock();

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-store-"));
    logged = [];
  });
  afterEach(() => {
    for (const store of stores) store.close();
    stores = [];
    rmSync(directory, { recursive: true });
  });

  /** A front's life; the one before died without a word, which lets go of its lock. */
  function front(keeperEpoch = 1, at = directory): { store: SessionStore; set: SessionSet } {
    for (const store of stores.splice(0)) store.close();
    const store = SessionStore.open(at, keeperEpoch, { clock, log: (event) => void logged.push(event) });
    stores.push(store);
    return {
      store,
      set: new SessionSet(new Scope("gateway"), { clock, random: systemRandom }, limits, () => {}, store),
    };
  }

  it("gives the next front the same sessions: id, client, parent, times, lease, revision", () => {
    const { set } = front();
    const parent = set.open({ kind: "ws", client, leaseMs: 30_000 }, { id: "ci", scopes: new Set() });
    const child = set.open({ client, server: "files", parentId: parent.id }, null);
    child.agreeOn("2025-06-18");
    const before = set.list(admin);
    clock.advance(100);
    const restored = front().set;
    const sessions = restored.restore();
    assert.deepEqual(
      restored.list(admin).map((view) => ({ ...view, lastSeenAt: 0 })),
      before.map((view) => ({ ...view, lastSeenAt: 0 })),
    );
    assert.deepEqual([sessions[0]?.tokenId, sessions[1]?.protocolVersion], ["ci", "2025-06-18"]);
    assert.deepEqual(logged, []);
  });

  it("a session that ended is not in it, and neither is one of an earlier keeper", async () => {
    const { set } = front();
    const gone = set.open({ client }, null);
    const stays = set.open({ client }, null);
    await gone.close("session-ended");
    const next = front().set;
    assert.deepEqual(
      next.restore().map(({ id }) => id),
      [stays.id],
    );
    assert.deepEqual(front(2).set.restore(), []);
    assert.deepEqual(front(1).set.restore(), []);
  });

  it("the lease goes on across fronts: who was present has all of it, who was away only the rest", () => {
    const { set } = front();
    const away = set.open({ client }, null);
    const present = set.open({ client }, null);
    present.lease.hold();
    clock.advance(50_000); // the set writes every 5 s who was seen
    const next = front().set;
    const reasons = new Map<string, EndReason>();
    for (const session of next.restore()) session.onEnd((reason) => void reasons.set(session.id, reason));
    clock.advance(20_000);
    assert.deepEqual([...reasons], [[away.id, "lease-expired"]]);
    clock.advance(45_000);
    assert.equal(reasons.get(present.id), "lease-expired");
    assert.equal(next.size, 0);
  });

  it("child sessions end with their parent, youngest first, and a child whose parent is lost is not restored", async () => {
    const { set, store } = front();
    const parent = set.open({ client }, null);
    const order: string[] = [];
    for (const name of ["first", "second"]) {
      const child = set.open({ client, parentId: parent.id }, null);
      child.scope.add({ close: async () => void order.push(name) }, name);
    }
    store.remove(parent.id);
    const orphans = front();
    assert.deepEqual(orphans.set.restore(), []);
    assert.deepEqual(orphans.store.load(), []);
    await parent.close("session-ended");
    assert.deepEqual(order, ["second", "first"]);
    assert.equal(set.size, 0);
  });

  it("sessions below sessions have a bottom, and an unknown parent is refused", () => {
    const { set } = front();
    let parentId = set.open({ client }, null).id;
    for (let depth = 2; depth <= 8; depth += 1) parentId = set.open({ client, parentId }, null).id;
    assert.throws(() => set.open({ client, parentId }, null), { code: "session_limit" });
    assert.throws(() => set.open({ client, parentId: "nobody" }, null), { code: "session_unknown" });
  });

  it("nobody but its user may read the file", () => {
    front().set.open({ client }, null);
    const files = readdirSync(directory);
    assert.ok(files.includes("sessions.sqlite"));
    for (const file of files) assert.equal(statSync(join(directory, file)).mode & 0o077, 0, file);
  });

  for (const [what, bytes] of [
    ["garbage", "this is no database, it only looks like a file of some length, and then some more of it"],
    ["half a database", "SQLite format 3\0".padEnd(3000, "\x01")],
  ] as const) {
    it(`${what} in its place is begun anew, with a line in the log`, () => {
      writeFileSync(join(directory, "sessions.sqlite"), bytes, "latin1");
      const { set } = front();
      assert.deepEqual(logged, ["session.store_lost"]);
      assert.deepEqual(set.restore(), []);
      const { id } = set.open({ client }, null);
      assert.deepEqual(
        front()
          .set.restore()
          .map((session) => session.id),
        [id],
      );
    });
  }

  it("without a place to write, sessions are opened and ended all the same", async () => {
    const { set } = front(1, join(directory, "missing"));
    assert.deepEqual(logged, ["session.store_unusable"]);
    await set.open({ client }, null).close("session-ended");
    assert.equal(set.size, 0);
  });

  it(
    "what a full disk refused is what the next front gets, once there was room",
    { skip: needsNamespace("mount") },
    () => {
      using disk = new SmallDisk(directory, 1024);
      const { store, set } = front(1, disk.directory);
      const kept = set.open({ client }, null);
      store.remembered(kept.id, "old");
      disk.fill();
      store.remembered(kept.id, "new".repeat(2000));
      const passing = set.open({ client }, null);
      store.remove(passing.id);
      assert.deepEqual(logged, ["session.store_failed"]);
      disk.empty();
      clock.advance(1000);
      const rows = front(1, disk.directory).store.load();
      assert.deepEqual(
        rows.map(({ id, memo }) => [id, memo]),
        [[kept.id, "new".repeat(2000)]],
      );
      for (const each of stores.splice(0)) each.close();
    },
  );

  it("a store that breaks while it is used ends no session, and says so once", () => {
    const { set, store } = front();
    store.close();
    for (let count = 0; count < 3; count += 1) set.open({ client }, null);
    assert.equal(set.size, 3);
    assert.deepEqual(logged, ["session.store_failed"]);
  });
});
