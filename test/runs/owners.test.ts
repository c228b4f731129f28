/** Whose a background run is: for as long as the run is known, in this front and the next, and for a bounded number of runs. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { RunOwners } from "../../src/runs/owners.ts";

/** What the next front reads. */
class Stored {
  readonly rows = new Map<string, string>();
  readonly writes: string[] = [];

  runOwners() {
    return [...this.rows].map(([run, tokenId]) => ({ run, tokenId }));
  }
  runOwned(run: string, tokenId: string) {
    this.writes.push(`${run} ${tokenId}`);
    this.rows.set(run, tokenId);
  }
  runForgotten(run: string) {
    this.writes.push(`${run} none`);
    this.rows.delete(run);
  }
}

it("a run stays its first owner's, whoever is named later, and the next front knows it", () => {
  const stored = new Stored();
  const owners = new RunOwners(stored);
  owners.note("r1", "ci");
  owners.note("r1", "mallory");
  owners.note("r2", null);
  owners.note("r3", "ops");
  assert.deepEqual(["r1", "r2", "r3", "r4"].map((run) => owners.get(run)), ["ci", undefined, "ops", undefined]);
  assert.deepEqual(stored.writes, ["r1 ci", "r3 ops"]);
  const next = new RunOwners(stored);
  assert.deepEqual([next.get("r1"), next.get("r3")], ["ci", "ops"]);
  next.note("r1", "mallory");
  assert.equal(next.get("r1"), "ci");
}); // prettier-ignore

it("a forgotten run has no owner, here or in the next front, and may be another's", () => {
  const stored = new Stored();
  const owners = new RunOwners(stored);
  owners.note("r1", "ci");
  owners.forget("r1");
  owners.forget("r2");
  assert.equal(owners.get("r1"), undefined);
  assert.equal(new RunOwners(stored).get("r1"), undefined);
  assert.deepEqual(stored.writes, ["r1 ci", "r1 none"]);
  owners.note("r1", "ops");
  assert.equal(owners.get("r1"), "ops");
});

it("without a store it is known to this front alone", () => {
  const owners = new RunOwners();
  owners.note("r1", "ci");
  assert.equal(owners.get("r1"), "ci");
  owners.forget("r1");
  assert.equal(owners.get("r1"), undefined);
});

it("20,000 runs have an owner, and beyond these the oldest has none", () => {
  const stored = new Stored();
  const owners = new RunOwners(stored);
  for (let number = 0; number < 20_000; number += 1) owners.note(`r${number}`, "ci");
  assert.equal(owners.get("r0"), "ci");
  owners.note("last", "ci");
  assert.deepEqual(["r0", "r1", "last"].map((run) => owners.get(run)), [undefined, "ci", "ci"]);
  assert.deepEqual([stored.rows.size, stored.rows.has("r0")], [20_000, false]);
}); // prettier-ignore
