/** The median of a few measurements, and how far it can be trusted without assuming anything about their distribution. */
import { median } from "./load.ts";

export interface Estimate {
  median: number;
  low: number;
  high: number;
}

/** Below nine pairs the bounds would be the smallest and the largest value, or cover less than 95 %. */
export const pairsMin = 9;

/** The chance of at most `successes` heads in `tosses` throws of a fair coin. */
function coinAtMost(successes: number, tosses: number): number {
  let term = 0.5 ** tosses;
  let sum = term;
  for (let index = 1; index <= successes; index += 1) {
    term *= (tosses - index + 1) / index;
    sum += term;
  }
  return sum;
}

/**
 * The median with its 95 % interval by order statistics: the k-th smallest and the k-th largest value, with the largest k
 * for which the interval holds the true median in at least 95 of 100 runs. Throws below nine values.
 */
export function estimate(values: readonly number[]): Estimate {
  if (values.length < pairsMin) throw new Error(`${values.length} values: at least ${pairsMin} are needed`);
  const sorted = values.toSorted((first, second) => first - second);
  let outside = 0;
  while (2 * coinAtMost(outside, sorted.length) <= 0.05) outside += 1;
  return { median: median(sorted), low: sorted[outside - 1] ?? NaN, high: sorted.at(-outside) ?? NaN };
}

/** Whether a ratio differs from 1: its whole interval lies on one side. */
export function differs({ low, high }: Estimate): boolean {
  return low > 1 || high < 1;
}
