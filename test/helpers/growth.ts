/** How the cost of some work grows with its size: what is linear costs twice for twice as much, on any machine. */

/** What costs less than this says nothing: a collection of garbage may cost as much. */
const shortMs = 5;

/** Median of the processor time of several rounds, in milliseconds. */
function medianMs(work: () => void): number {
  const rounds = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  return rounds.toSorted((a, b) => a - b)[2]!;
}

/** What four times the size costs, in multiples of what the size costs: about 4 for linear work, 16 for a square. */
export function growthOf(work: (size: number) => void, size: number): number {
  work(size); // compiled before it is measured
  return (
    medianMs(() => work(4 * size)) /
    Math.max(
      medianMs(() => work(size)),
      shortMs,
    )
  );
}

/** More than this is no linear work; half-way, for the machine's own unrest. */
export const linearMax = 9;
