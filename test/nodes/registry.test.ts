/** What is decided about nodes: by which names, for how long, and what the next front knows of it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openNodesDatabase } from "../../src/nodes/gateway/database.ts";
import { NodeRegistry, type Applicant } from "../../src/nodes/gateway/node-registry.ts";
import { NodesBook } from "../../src/nodes/gateway/rows.ts";
import { systemRandom } from "../../src/random.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const about = { version: "0", platform: "linux", arch: "x64", tier: "none", hostname: "far" };
const applicant = (id: string, more: Partial<Applicant> = {}): Applicant => {
  return { id: id.padEnd(32, "0"), publicKey: "k", name: "far", about, invite: null, ...more };
};

class Place implements Disposable {
  readonly clock = new ManualClock();
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-registry-"));
  #book = this.#open();
  registry = this.#read();

  #open(): NodesBook {
    return new NodesBook(
      openNodesDatabase(this.#directory, () => {}, this.clock),
      systemRandom,
    );
  }

  #read(): NodeRegistry {
    return new NodeRegistry(this.#book, { clock: this.clock, random: systemRandom });
  }

  /** As the next front knows it. */
  again(): NodeRegistry {
    this.#book.close();
    this.#book = this.#open();
    this.registry = this.#read();
    return this.registry;
  }

  /** Every write fails from now on. */
  breaks(): void {
    this.#book.close();
  }

  [Symbol.dispose](): void {
    this.#book.close();
    rmSync(this.#directory, { recursive: true });
  }
}

describe("a node is meant", () => {
  it("by its id, the beginning of it, or its name, and by nothing that fits two", () => {
    using place = new Place();
    const { registry } = place;
    registry.meet(applicant("abcdef0011"));
    registry.meet(applicant("abcdef0022", { name: "mill" }));
    assert.equal(registry.find("abcdef00".padEnd(32, "0").replace("abcdef0000", "abcdef0011")).name, "far");
    assert.equal(registry.find("abcdef0022").name, "mill");
    assert.equal(registry.find("mill").id, applicant("abcdef0022").id);
    for (const word of ["abcdef00", "abc", "nobody", "", "fa"])
      assert.throws(() => registry.find(word), { code: "node_unknown" }, word);
    assert.throws(() => registry.find("abcdef00"), /2 nodes are abcdef00; name it by its id/);
    assert.throws(() => registry.find("nobody"), /no node "nobody"; .*nodes list/);
    // Unknown nodes choose their names: not one that looks like another's id.
    registry.meet(applicant("1234567890", { name: "abcdef0022" }));
    assert.equal(registry.find("abcdef0022").name, "mill");
  });

  it("by its id alone where others have its name, when something is decided about it", () => {
    using place = new Place();
    const { registry } = place;
    const [one, two] = [registry.meet(applicant("aaaaaaaa")), registry.meet(applicant("bbbbbbbb"))];
    for (const decide of ["approve", "reject", "forget"] as const)
      assert.throws(() => registry[decide]("far"), /2 nodes are called far: aaaaaaaa0000 \(pending\), bbbbbbbb0000/);
    assert.throws(() => registry.rename("far", "x"), { code: "node_unknown" });
    assert.equal(registry.approve(one.id).state, "approved");
    assert.equal(registry.find("far").id, one.id, "of one name it is the approved one");
    assert.equal(registry.revoke("far").id, one.id);
    assert.equal(registry.reject(two.id).state, "rejected");
  });
});

describe("a name", () => {
  it("is one approved node's: another one gets it neither by approval, by a new name, nor by an invitation", () => {
    using place = new Place();
    const { registry } = place;
    const [one, two] = [registry.meet(applicant("aaaaaaaa")), registry.meet(applicant("bbbbbbbb"))];
    registry.approve(one.id);
    for (const taken of [
      () => registry.approve(two.id),
      () => registry.approve(two.id, "far"),
      () => registry.invite(1000, "far"),
    ])
      assert.throws(taken, { code: "node_name_taken" });
    assert.equal(registry.get(two.id)?.state, "pending");
    assert.equal(registry.approve(one.id).name, "far", "its own is free to it");
    assert.equal(registry.approve(two.id, "mill").name, "mill");
    assert.throws(() => registry.rename("mill", "far"), { code: "node_name_taken" });
    assert.equal(registry.rename("far", "press").name, "press");
    assert.equal(registry.rename("mill", "far").id, two.id);
    const { secret } = registry.invite(1000, null);
    const three = registry.meet(applicant("cccccccc", { invite: secret }));
    assert.deepEqual([three.state, three.name], ["approved", "far-cccccccc"]);
    assert.equal(place.again().find("press").id, one.id);
  });

  it("is letters, digits, - and _, up to 64, and not the one of this machine", () => {
    using place = new Place();
    const { registry } = place;
    const { id } = registry.meet(applicant("aaaaaaaa"));
    for (const name of ["", "local", "a b", "-x", "_x", "x".repeat(65), "é"]) {
      assert.throws(() => registry.approve(id, name), { code: "invalid_params" }, name);
      assert.throws(() => registry.rename(id, name), { code: "invalid_params" }, name);
      assert.throws(() => registry.invite(1000, name), { code: "invalid_params" }, name);
    }
    for (const name of ["a", "A-1_b", "x".repeat(64)]) assert.equal(registry.rename(id, name).name, name);
    const { secret } = registry.invite(1000, null);
    assert.equal(registry.meet(applicant("bbbbbbbb", { name: "local", invite: secret })).name, "node");
  });

  it("of a node that waits is the one it asks for now; that of a decided one stays", () => {
    using place = new Place();
    const { registry } = place;
    const { id } = registry.meet(applicant("aaaaaaaa"));
    assert.equal(registry.meet(applicant("aaaaaaaa", { name: "mill" })).name, "mill");
    registry.approve(id);
    assert.equal(registry.meet(applicant("aaaaaaaa", { name: "other" })).name, "mill");
  });
});

describe("an invitation", () => {
  it("lets in one key, before its time is over, and then it is used up for good", () => {
    using place = new Place();
    const { clock, registry } = place;
    const { secret, expiresAt } = registry.invite(1000, "guest");
    assert.equal(expiresAt, clock.now() + 1000);
    const late = registry.invite(500, null).secret;
    clock.advance(500);
    assert.throws(() => registry.meet(applicant("dddddddd", { invite: late })), { code: "invite_invalid" });
    assert.throws(() => registry.meet(applicant("dddddddd", { invite: "made-up" })), { code: "invite_invalid" });
    assert.equal(registry.get(applicant("dddddddd").id), undefined);
    clock.advance(499);
    const again = place.again();
    const node = again.meet(applicant("aaaaaaaa", { invite: secret }));
    assert.deepEqual([node.name, node.state, node.decidedAt], ["guest", "approved", clock.now()]);
    assert.throws(() => again.meet(applicant("bbbbbbbb", { invite: secret })), { code: "invite_invalid" });
    assert.equal(again.meet(applicant("aaaaaaaa", { invite: secret })).state, "approved");
    assert.throws(() => place.again().meet(applicant("bbbbbbbb", { invite: secret })), { code: "invite_invalid" });
    assert.equal(place.registry.get(node.id)?.state, "approved");
  });

  it("does not overrule what an admin decided", () => {
    using place = new Place();
    const { registry } = place;
    const { id } = registry.meet(applicant("aaaaaaaa"));
    registry.reject(id);
    const { secret } = registry.invite(1000, null);
    assert.equal(registry.meet(applicant("aaaaaaaa", { invite: secret })).state, "rejected");
    registry.forget(id);
    assert.equal(registry.meet(applicant("aaaaaaaa", { invite: secret })).state, "approved");
  });

  it("is one of 256, and makes room when its time is over", () => {
    using place = new Place();
    const { clock, registry } = place;
    for (let number = 0; number < 256; number += 1) registry.invite(1000, null);
    assert.throws(() => registry.invite(1000, null), { code: "invalid_params" });
    clock.advance(1000);
    registry.invite(1000, null);
    for (let number = 0; number < 255; number += 1) registry.invite(1000, null);
    assert.throws(() => registry.invite(1000, null), { code: "invalid_params" });
  });
});

describe("what is known of a node", () => {
  it("is on record for the next front: its decision, its time, and when it was seen", () => {
    using place = new Place();
    const { clock, registry } = place;
    const { gatewayId } = registry;
    const { id, createdAt } = registry.meet(applicant("aaaaaaaa"));
    clock.advance(10);
    registry.approve(id);
    const decidedAt = clock.now();
    clock.advance(5000);
    registry.seen(id);
    registry.seen("nobody");
    const node = place.again().get(id)!;
    assert.deepEqual([node.createdAt, node.decidedAt, node.lastSeenAt], [createdAt, decidedAt, clock.now()]);
    assert.deepEqual([node.state, node.about, place.registry.gatewayId], ["approved", about, gatewayId]);
    clock.advance(59_999);
    place.registry.meet(applicant("aaaaaaaa"));
    assert.equal(place.registry.get(id)?.lastSeenAt, node.lastSeenAt, "within a minute it is not written again");
    place.registry.meet(applicant("aaaaaaaa", { about: { ...about, version: "1" } }));
    assert.deepEqual([place.again().get(id)?.about.version, place.registry.get(id)?.lastSeenAt], ["1", clock.now()]);
    clock.advance(60_000);
    place.registry.meet(applicant("aaaaaaaa", { about: { ...about, version: "1" } }));
    assert.equal(place.again().get(id)?.lastSeenAt, clock.now());
  });

  it("has no control characters, whatever it calls itself", () => {
    using place = new Place();
    const bad = "a\u001b[31m\u202e\n";
    const said = { version: bad, platform: bad, arch: bad, tier: bad, hostname: bad };
    const node = place.registry.meet(applicant("aaaaaaaa", { about: said }));
    assert.deepEqual(new Set(Object.values(node.about)), new Set(["a?[31m??"]));
  });

  it("is forgotten on demand, but not while it is approved", () => {
    using place = new Place();
    const { registry } = place;
    const { id } = registry.meet(applicant("aaaaaaaa"));
    registry.approve(id);
    assert.throws(() => registry.forget(id), { code: "node_approved" });
    registry.revoke(id);
    registry.forget(id);
    assert.deepEqual([registry.get(id), place.again().all], [undefined, []]);
  });

  it("is of 256 undecided ones at most: who was seen longest ago is forgotten, and nobody who is decided", () => {
    using place = new Place();
    const { clock, registry } = place;
    const hex = (number: number) => number.toString(16).padStart(8, "0");
    registry.meet(applicant(hex(1000)));
    registry.reject(applicant(hex(1000)).id);
    for (let number = 0; number < 256; number += 1) {
      clock.advance(1);
      registry.meet(applicant(hex(number)));
    }
    clock.advance(1);
    registry.meet(applicant(hex(0)));
    assert.equal(registry.all.length, 257);
    registry.meet(applicant(hex(2000)));
    assert.deepEqual(
      [0, 1, 2, 1000, 2000].map((number) => registry.get(applicant(hex(number)).id) !== undefined),
      [true, false, true, true, true],
    );
    assert.equal(place.again().all.length, 257);
  });

  it("is decided only when it is on record", () => {
    using place = new Place();
    const { registry } = place;
    const { id } = registry.meet(applicant("aaaaaaaa"));
    registry.approve(id, "mill");
    place.breaks();
    for (const decide of [() => registry.revoke(id), () => registry.rename(id, "x"), () => registry.invite(1000, null)])
      assert.throws(decide, { code: "state_unusable" });
    assert.deepEqual([registry.get(id)?.state, registry.get(id)?.name], ["approved", "mill"]);
    // What is no decision needs no record: an approved node stays in.
    place.clock.advance(100_000);
    assert.equal(registry.meet(applicant("aaaaaaaa")).state, "approved");
    assert.throws(() => registry.meet(applicant("bbbbbbbb")), { code: "state_unusable" });
  });
});
