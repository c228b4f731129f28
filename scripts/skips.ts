/** What `npm test` says last: each reason to skip with its tests, and one line with their number and what to install. */

export interface Skip {
  file: string;
  name: string;
  reason: string;
}

const advice = /\(apt-get install ([^)]+)\)/;

/** The summary is the last line. */
export function describeSkips(skips: readonly Skip[], isStrict: boolean): string {
  if (skips.length === 0) return "no test was skipped";
  const byReason = Map.groupBy(skips, ({ reason }) => reason);
  const lines = [...byReason].flatMap(([reason, of]) => [
    `skipped, ${reason}:`,
    ...of.map(({ file, name }) => `  ${file}: ${name}`),
  ]);
  const packages = new Set(skips.flatMap(({ reason }) => advice.exec(reason)?.[1]?.split(" ") ?? []));
  const install =
    packages.size === 0 ? "" : `; for more of them: apt-get install ${[...packages].toSorted().join(" ")}`;
  const verdict = isStrict ? ", which HOLDFAST_TEST_STRICT makes a failure" : "";
  return [...lines, `${skips.length} skipped${verdict}${install}`].join("\n");
}
