/** How the cost of some work grows with its size: what is linear costs twice for twice as much, on any machine. */

/** What costs less than this says nothing: a collection of garbage may cost as much. */
const shortMs = 5;
/** Of each size, in turn, so that a change of the machine's speed meets both. */
const rounds = 7;

function processorMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/**
 * What four times the size costs, in multiples of what the size costs: about 4 for linear work, 16 for a square. The
 * cheapest round of each counts: whatever disturbs a round makes it more expensive, and never cheaper.
 */
export function growthOf(work: (size: number) => void, size: number): number {
  work(size); // compiled before it is measured
  let [once, fourTimes] = [Infinity, Infinity];
  for (let round = 0; round < rounds; round += 1) {
    once = Math.min(
      once,
      processorMs(() => work(size)),
    );
    fourTimes = Math.min(
      fourTimes,
      processorMs(() => work(4 * size)),
    );
  }
  return fourTimes / Math.max(once, shortMs);
}

/** More than this is no linear work; half-way, for the machine's own unrest. */
export const linearMax = 9;
