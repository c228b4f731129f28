/**
 * What is long by nature is played a few times by `npm test`, and whole by `npm run test:long`, which takes the files that
 * import this one.
 */
export const isLong = process.env["HOLDFAST_TEST_LONG"] === "1";

/** Where nothing may be skipped, that is in CI, every case of every table is played. */
export const isWhole = isLong || process.env["HOLDFAST_TEST_STRICT"] === "1";

/** Every case, or every other one from the given place, for tables whose rows have a second way to be played. */
export function sample<T>(cases: readonly T[], from = 0): readonly T[] {
  return isWhole ? cases : cases.filter((_, at) => at % 2 === from % 2);
}

/** How many of something: rounds, sessions, kills. */
export function many(few: number, whole: number): number {
  return isLong ? whole : few;
}
