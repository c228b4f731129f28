/** The interval by which the bench guard decides. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { differs, estimate } from "../../bench/interval.ts";

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Ranks from the tables for the sign test: the largest k whose interval covers the median in 95 of 100 runs. */
for (const [count, low, high] of [
  [9, 2, 8],
  [12, 3, 10],
  [15, 4, 12],
  [20, 6, 15],
  [25, 8, 18],
] as const) {
  test(`the interval of ${count} values runs from the ${low}th to the ${high}th`, () => {
    const found = estimate(upTo(count).toReversed());
    assert.deepEqual([found.low, found.high], [low, high]);
  });
}

test("fewer than nine pairs give no interval", () => {
  assert.throws(() => estimate(upTo(8)), /at least 9/);
});

test("a difference counts only where the whole interval lies on one side of 1", () => {
  assert.equal(differs({ low: 1.001, median: 1.1, high: 1.2 }), true);
  assert.equal(differs({ low: 0.8, median: 0.9, high: 0.999 }), true);
  assert.equal(differs({ low: 0.999, median: 1.1, high: 1.2 }), false);
  assert.equal(differs({ low: 1, median: 1, high: 1 }), false);
});
