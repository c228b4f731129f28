/** A lease never ends under somebody who is present, and always ends when nobody is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Lease } from "../../src/ownership/lease.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

function make(idleMs: number) {
  const clock = new ManualClock();
  let expired = 0;
  const lease = new Lease(clock, idleMs, () => void expired++);
  return { clock, lease, expired: () => expired };
}

describe("lease", () => {
  it("ends when nobody comes within the idle time, once", () => {
    const { clock, expired } = make(1000);
    clock.advance(999);
    assert.equal(expired(), 0);
    clock.advance(1);
    assert.equal(expired(), 1);
    clock.advance(10_000);
    assert.equal(expired(), 1);
    assert.equal(clock.pending, 0);
  });

  it("counts from when the last one left, not from when they came", () => {
    const { clock, lease, expired } = make(1000);
    clock.advance(900);
    const leave = lease.hold();
    clock.advance(50);
    leave();
    clock.advance(999);
    assert.equal(expired(), 0);
    clock.advance(1);
    assert.equal(expired(), 1);
  });

  it("does not end while one is present, however long", () => {
    const { clock, lease, expired } = make(1000);
    const leave = lease.hold();
    clock.advance(1_000_000);
    assert.equal(expired(), 0);
    leave();
    clock.advance(999);
    assert.equal(expired(), 0);
    clock.advance(1);
    assert.equal(expired(), 1);
  });

  it("does not end while one of several is left, and counts each leave once", () => {
    const { clock, lease, expired } = make(1000);
    const [first, second] = [lease.hold(), lease.hold()];
    first();
    first();
    clock.advance(5000);
    assert.equal(expired(), 0);
    assert.equal(lease.holders, 1);
    second();
    clock.advance(1000);
    assert.equal(expired(), 1);
  });

  it("leaves no timer and never expires once it was ended", () => {
    const { clock, lease, expired } = make(1000);
    const leave = lease.hold();
    lease.end();
    leave();
    assert.equal(clock.pending, 0);
    clock.advance(10_000);
    assert.equal(expired(), 0);
  });
});
