/** Sessions within sessions, whose they are, and what the next front is told of them. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { systemRandom } from "../../src/random.ts";
import { Scope } from "../../src/ownership/scope.ts";
import type { Asker } from "../../src/sessions/owner.ts";
import { SessionSet } from "../../src/sessions/set.ts";
import { SessionStore } from "../../src/sessions/store.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const admin: Asker = { id: "root", scopes: new Set(["admin"]) };
const ann: Asker = { id: "ann", scopes: new Set() };
const bob: Asker = { id: "bob", scopes: new Set() };
const client = { name: "test", version: "1" };

class Front implements Disposable {
  readonly clock = new ManualClock();
  readonly root = new Scope("gateway");
  readonly logged: string[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-tree-"));
  readonly #limits;
  #store: SessionStore;
  set: SessionSet;

  constructor(limits: { sessionsMax?: number; idleLeaseMs?: number } = {}) {
    this.#limits = { idleLeaseMs: 60_000, sessionsMax: 5000, ...limits };
    [this.#store, this.set] = this.#open();
  }

  #open(): [SessionStore, SessionSet] {
    const { clock } = this;
    const store = SessionStore.open(this.#directory, 1, { clock, log: (event) => void this.logged.push(event) });
    return [store, new SessionSet(this.root, { clock, random: systemRandom }, this.#limits, () => {}, store)];
  }

  /** What the next front has, when this one dies now. */
  again(): SessionSet {
    this.#store.close();
    [this.#store, this.set] = this.#open();
    this.set.restore();
    return this.set;
  }

  [Symbol.dispose](): void {
    this.#store.close();
    rmSync(this.#directory, { recursive: true });
  }
}

describe("a session within another one", () => {
  it("ends with it, and may be opened only by who may act on that one", async () => {
    using front = new Front();
    const { set } = front;
    const parent = set.open({ client }, ann);
    assert.throws(() => set.open({ client, parentId: parent.id }, bob), { code: "session_unknown" });
    assert.throws(() => set.open({ client, parentId: "nobody" }, ann), { code: "session_unknown" });
    assert.throws(() => set.open({ client, parentId: "nobody" }, null), { code: "session_unknown" });
    assert.equal(set.size, 1);
    const children = [ann, admin, null].map((asker) => set.open({ client, parentId: parent.id }, asker));
    assert.equal(set.size, 4);
    await parent.close("session-ended");
    assert.deepEqual([set.size, children.map(({ ended }) => ended)], [0, [true, true, true]]);
    assert.equal(front.again().size, 0);
  });

  it("stands eight deep at most", () => {
    using front = new Front();
    const { set } = front;
    let parentId: string | null = null;
    for (let depth = 1; depth <= 8; depth += 1) parentId = set.open({ client, parentId }, ann).id;
    assert.throws(() => set.open({ client, parentId }, ann), { code: "session_limit", message: /8 deep/ });
    assert.equal(set.size, 8);
  });

  it("is there for the next front with its parent, and not without", () => {
    using front = new Front();
    const parent = front.set.open({ client }, ann);
    const child = front.set.open({ client, parentId: parent.id }, ann);
    const set = front.again();
    assert.equal(set.get(child.id)?.parentId, parent.id);
    void set.end(parent.id, "session-ended", ann);
    assert.deepEqual([set.get(child.id), set.size, front.again().size], [undefined, 0, 0]);
  });
});

describe("a session is its token's", () => {
  it("for everybody else it is as one that is not there, and its id is not shown, not even when it has ended", async () => {
    using front = new Front();
    const { set } = front;
    const hers = set.open({ client }, ann);
    const nobodys = set.open({ client }, null);
    assert.equal(set.find(hers.id, ann), hers);
    assert.equal(set.mustFind(hers.id, admin), hers);
    for (const { id } of [hers, nobodys]) {
      assert.equal(set.find(id, bob), undefined);
      assert.throws(() => set.mustFind(id, bob), { code: "session_unknown" });
      assert.throws(() => set.end(id, "session-ended", bob), { code: "session_unknown" });
      assert.notEqual(set.show(id, bob), id);
    }
    const child = set.open({ client, parentId: hers.id }, null);
    const seen = set.list(bob).find(({ kind, parentId }) => kind === "mcp" && parentId !== null);
    assert.ok(seen !== undefined && !JSON.stringify(set.list(bob)).includes(hers.id));
    assert.equal(set.list(ann)[0]?.id, hers.id);
    assert.equal(set.list(admin).find(({ id }) => id === child.id)?.parentId, hers.id);
    await hers.close("session-ended");
    assert.deepEqual([set.show(hers.id, ann), set.show(hers.id, admin)], [hers.id, hers.id]);
    assert.notEqual(set.show(hers.id, bob), hers.id);
  });

  it("and whose 1,024 ended ones were is remembered, the oldest of more is shown to admins alone", async () => {
    using front = new Front();
    const { set } = front;
    const ids: string[] = [];
    for (let number = 0; number < 1024; number += 1) {
      const session = set.open({ client }, ann);
      ids.push(session.id);
      await session.close("session-ended");
    }
    assert.equal(set.show(ids[0]!, ann), ids[0]);
    await set.open({ client }, ann).close("session-ended");
    assert.notEqual(set.show(ids[0]!, ann), ids[0]);
    assert.deepEqual([set.show(ids[1]!, ann), set.show(ids[0]!, admin)], [ids[1], ids[0]]);
  });

  it("and ends with its token, no other one does", () => {
    using front = new Front();
    const { set } = front;
    const sessions = [ann, bob, null].map((asker) => set.open({ client }, asker));
    set.endThoseOf((token) => token === "ann");
    assert.deepEqual(sessions.map(({ ended }) => ended), [true, false, false]);
  }); // prettier-ignore
});

describe("presence", () => {
  it("reaches the next front every five seconds and at the end, and only of sessions that live", async () => {
    using front = new Front();
    const { clock, set } = front;
    const [used, gone, held] = [set.open({ client }, ann), set.open({ client }, ann), set.open({ client }, ann)];
    const begin = clock.now();
    held.lease.hold();
    clock.advance(2000);
    used.lease.hold()();
    clock.advance(3000);
    await gone.close("session-ended");
    // Of the one that was used two seconds after the beginning, that much is known; who is present was there until now.
    clock.advance(1000);
    const next = front.again();
    const seen = (id: string) => next.list(admin).find((view) => view.id === id)?.lastSeenAt;
    assert.deepEqual([seen(used.id), seen(held.id), next.size], [clock.now(), clock.now(), 2]);
    clock.advance(4000);
    next.flush();
    clock.advance(20_000);
    const last = front.again();
    assert.equal(last.list(admin).find(({ id }) => id === used.id)?.lastSeenAt, begin + 2000 + 5000);
  });

  it("ends a session of the front before at the time at which it would have ended", () => {
    using front = new Front({ idleLeaseMs: 10_000 });
    const { id } = front.set.open({ client }, ann);
    front.clock.advance(9000);
    const set = front.again();
    // It may have been used up to five seconds after what is on record.
    front.clock.advance(5999);
    assert.notEqual(set.get(id), undefined);
    front.clock.advance(1);
    assert.equal(set.get(id), undefined);
    assert.equal(front.again().size, 0);
  });

  it("is written no more once nobody is there, and again for who comes after", async () => {
    using front = new Front();
    const { clock, set } = front;
    const first = set.open({ client }, ann);
    assert.ok(clock.pending > 0);
    await first.close("session-ended");
    assert.equal(clock.pending, 0);
    const second = set.open({ client }, ann);
    clock.advance(30_000);
    second.lease.hold()();
    clock.advance(5000);
    assert.equal(front.again().get(second.id)?.lease.lastSeenAt, clock.now());
  });
});

describe("that all sessions have ended", () => {
  it("is awaited as long as was asked, and no longer than it takes", async () => {
    using front = new Front();
    const { clock, set } = front;
    await set.empty(1000);
    const [one, two] = [set.open({ client }, ann), set.open({ client }, ann)];
    const told: string[] = [];
    void set.empty(10_000).then(() => told.push("ended"));
    await one.close("session-ended");
    await new Promise(setImmediate);
    assert.equal(told.length, 0);
    await two.close("session-ended");
    await new Promise(setImmediate);
    assert.deepEqual([told, clock.pending], [["ended"], 0]);
    set.open({ client }, ann);
    void set.empty(1000).then(() => told.push("late"));
    clock.advance(999);
    await new Promise(setImmediate);
    assert.equal(told.length, 1);
    clock.advance(1);
    await new Promise(setImmediate);
    assert.deepEqual(told, ["ended", "late"]);
  });
});
