/** The promises of the ownership tree, on its own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EndReason } from "../../src/protocol/run.ts";
import { Scope, type Owned } from "../../src/ownership/scope.ts";

/** A thing that notes when its close begins and ends, and takes as long as the test says. */
class Thing implements Owned {
  readonly #log: string[];
  readonly #name: string;
  readonly #gate: Promise<void>;
  constructor(name: string, log: string[], gate: Promise<void> = Promise.resolve()) {
    this.#name = name;
    this.#log = log;
    this.#gate = gate;
  }
  async close(reason: EndReason): Promise<void> {
    this.#log.push(`${this.#name} closing: ${reason}`);
    await this.#gate;
    this.#log.push(`${this.#name} closed`);
  }
}

const failing = (message: string): Owned => ({ close: () => Promise.reject(new Error(message)) });

describe("scope", () => {
  it("closes its members youngest first, each after the one before is gone", async () => {
    const log: string[] = [];
    const scope = new Scope("root");
    scope.add(new Thing("old", log), "old");
    scope.add(new Thing("young", log), "young");
    await scope.close("session-ended");
    assert.deepEqual(log, ["young closing: session-ended", "young closed", "old closing: session-ended", "old closed"]);
    assert.equal(scope.size, 0);
  });

  it("returns the same promise however often it is closed, and keeps the first reason", async () => {
    const log: string[] = [];
    const scope = new Scope("root");
    scope.add(new Thing("one", log), "one");
    const first = scope.close("lease-expired");
    assert.equal(scope.close("shutdown"), first);
    assert.equal((await first).reason, "lease-expired");
    assert.equal(scope.close("cancelled"), first);
    assert.deepEqual(log, ["one closing: lease-expired", "one closed"]);
  });

  it("closes what is added after the end began, and is not gone before that is", async () => {
    const log: string[] = [];
    const [first, late] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const scope = new Scope("root");
    scope.add(new Thing("first", log, first.promise), "first");
    const closing = scope.close("cancelled");
    scope.add(new Thing("late", log, late.promise), "late");
    assert.deepEqual(log, ["first closing: cancelled", "late closing: cancelled"]);
    let gone = false;
    void closing.then(() => (gone = true));
    first.resolve();
    await new Promise(setImmediate);
    assert.equal(gone, false);
    late.resolve();
    await closing;
    assert.deepEqual(log.slice(2), ["first closed", "late closed"]);
  });

  it("closes what is added from inside a member's own close", async () => {
    const log: string[] = [];
    const scope = new Scope("root");
    scope.add({ close: async () => void scope.add(new Thing("child", log), "child") }, "parent");
    await scope.close("shutdown");
    assert.deepEqual(log, ["child closing: shutdown", "child closed"]);
  });

  it("closes what is added after it is gone", async () => {
    const log: string[] = [];
    const scope = new Scope("root");
    await scope.close("timeout");
    scope.add(new Thing("very late", log), "very late");
    await new Promise(setImmediate);
    assert.deepEqual(log, ["very late closing: timeout", "very late closed"]);
  });

  it("goes on when a member fails, and says which one and why, from below too", async () => {
    const log: string[] = [];
    const scope = new Scope("root");
    scope.add(new Thing("oldest", log), "oldest");
    scope.add(failing("stuck"), "middle");
    scope.child("below").add(failing("stuck deeper"), "deep");
    const { failures } = await scope.close("session-ended");
    assert.deepEqual(
      failures.map(({ name, error }) => `${name}: ${(error as Error).message}`),
      ["deep: stuck deeper", "middle: stuck"],
    );
    assert.deepEqual(log, ["oldest closing: session-ended", "oldest closed"]);
  });

  it("ends a child scope with its own members before older members of the parent", async () => {
    const log: string[] = [];
    const scope = new Scope("root");
    scope.add(new Thing("older", log), "older");
    const child = scope.child("child");
    child.add(new Thing("inner", log), "inner");
    await scope.close("shutdown");
    assert.deepEqual(log, ["inner closing: shutdown", "inner closed", "older closing: shutdown", "older closed"]);
    assert.equal(child.closing, true);
  });

  it("lets a child scope leave when it ended by itself", async () => {
    const scope = new Scope("root");
    const child = scope.child("child");
    assert.equal(scope.size, 1);
    await child.close("cancelled");
    assert.equal(scope.size, 0);
  });

  it("does not let one independent member hold up the others", async () => {
    const log: string[] = [];
    const gate = Promise.withResolvers<void>();
    const scope = new Scope("root", { independent: true });
    scope.add(new Thing("quick", log), "quick");
    scope.add(new Thing("slow", log, gate.promise), "slow");
    const closing = scope.close("shutdown");
    await new Promise(setImmediate);
    assert.deepEqual(log, ["slow closing: shutdown", "quick closing: shutdown", "quick closed"]);
    gate.resolve();
    await closing;
    assert.equal(log.at(-1), "slow closed");
  });

  it("does not close what was released", async () => {
    const log: string[] = [];
    const scope = new Scope("root");
    const thing = scope.add(new Thing("gone by itself", log), "thing");
    scope.release(thing);
    await scope.close("shutdown");
    assert.deepEqual(log, []);
  });
});
