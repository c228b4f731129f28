/** A load of calls, with so many always in flight, for so long. */

/** Calls per second. Every call must resolve; the first that rejects ends the measure. */
export async function callsPerSecond(call: () => Promise<void>, inFlight: number, durationMs: number): Promise<number> {
  let done = 0;
  const began = performance.now();
  const end = began + durationMs;
  const lane = async () => {
    while (performance.now() < end) {
      await call();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return (done * 1000) / (performance.now() - began);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((first, second) => first - second);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
