/**
 * Limits on one run's whole tree, held by looking: five times a second its processes are counted and weighed. A tree can
 * overshoot between two looks; it is then ended as a whole. Where the kernel enforces limits too, the same look sees it.
 */
import type { Clock } from "../clock.ts";
import type { Container, Excess, ProcessInfo, TreeLimits } from "../platform/types.ts";

const lookMs = 200;

function hasLimits({ processesMax, memoryBytesMax }: TreeLimits): boolean {
  return processesMax !== undefined || memoryBytesMax !== undefined;
}

/** The limit that this tree exceeds, if any. */
export function excessIn(tree: readonly ProcessInfo[], limits: TreeLimits): Excess | undefined {
  const { processesMax = Infinity, memoryBytesMax = Infinity } = limits;
  if (tree.length > processesMax) return { limit: "processesMax", seen: tree.length, allowed: processesMax };
  const seen = tree.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
  return seen > memoryBytesMax ? { limit: "memoryBytesMax", seen, allowed: memoryBytesMax } : undefined;
}

/** The same of a container: what the kernel has enforced comes first. */
export function excessOf(container: Container, limits: TreeLimits): Excess | undefined {
  if (!hasLimits(limits)) return undefined;
  return container.excess?.() ?? excessIn(container.list(), limits);
}

/** For the log. */
export function describeExcess({ limit, seen, allowed }: Excess): string {
  if (limit === "memoryBytesMax")
    return `${seen === undefined ? "out of memory" : `${seen} bytes resident`}, at most ${allowed} bytes allowed`;
  if (seen === undefined) return `a fork was refused at ${allowed} threads`;
  return `${seen} processes, at most ${allowed} allowed`;
}

/** Looks until disposed of; tells once. Costs nothing for a tree without limits. */
export function watchLimits(
  container: Container,
  limits: TreeLimits,
  clock: Clock,
  onExcess: (excess: Excess) => void,
): Disposable {
  if (!hasLimits(limits)) return { [Symbol.dispose]() {} };
  const timer = clock.every(lookMs, () => {
    const excess = excessOf(container, limits);
    if (excess === undefined) return;
    timer.clear();
    onExcess(excess);
  });
  return { [Symbol.dispose]: () => timer.clear() };
}
