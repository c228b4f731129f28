/**
 * Limits on one run's whole tree, enforced by polling: five times a second its processes and memory are counted. A tree may
 * overshoot between two looks and is then ended as a whole. The same look detects limits enforced by the kernel.
 */
import type { Clock } from "../clock.ts";
import type { Container, Excess, ProcessInfo, TreeLimits } from "../platform/types.ts";

const lookMs = 200;

function hasLimits({ processesMax, memoryBytesMax }: TreeLimits): boolean {
  return processesMax !== undefined || memoryBytesMax !== undefined;
}

/** The limit that this tree exceeds. */
export function excessIn(tree: readonly ProcessInfo[], limits: TreeLimits): Excess | undefined {
  const { processesMax = Infinity, memoryBytesMax = Infinity } = limits;
  if (tree.length > processesMax) return { limit: "processesMax", seen: tree.length, allowed: processesMax };
  const seen = tree.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
  return seen > memoryBytesMax ? { limit: "memoryBytesMax", seen, allowed: memoryBytesMax } : undefined;
}

/** The same for a container; limits enforced by the kernel come first. */
export function excessOf(container: Container, limits: TreeLimits): Excess | undefined {
  if (!hasLimits(limits)) return undefined;
  return container.excess?.() ?? excessIn(container.list(), limits);
}

export function describeExcess({ limit, seen, allowed }: Excess): string {
  if (limit === "memoryBytesMax")
    return `${seen === undefined ? "out of memory" : `${seen} bytes resident`}, at most ${allowed} bytes allowed`;
  if (seen === undefined) return `a fork was refused at ${allowed} threads`;
  return `${seen} processes, at most ${allowed} allowed`;
}

/** Looks until disposed of; reports once. Free for a tree without limits. */
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
