/**
 * Limits on one run's whole tree, held by looking: every 200 ms the kernel's list of its processes is counted and weighed.
 * A tree can overshoot between two looks; it is then ended as a whole, stop before kill, so that it cannot outrun its end.
 * Where the kernel holds limits as well (kernel-limits.ts), what it has done is seen by the same look.
 */
import type { ProcessInfo } from "./linux/processes.ts";
import type { Container } from "./types.ts";

export interface TreeLimits {
  /** Processes at once, the command itself included. */
  processesMax?: number | undefined;
  /** Resident memory of all processes together, in bytes; shared pages are counted for each. */
  memoryBytesMax?: number | undefined;
}

const lookMs = 200;

/** What is exceeded, in words, or undefined. */
export function excess(members: readonly ProcessInfo[], limits: TreeLimits): string | undefined {
  const { processesMax = Infinity, memoryBytesMax = Infinity } = limits;
  if (members.length > processesMax) return `${members.length} processes, at most ${processesMax} allowed`;
  const bytes = members.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
  return bytes > memoryBytesMax ? `${bytes} bytes resident, at most ${memoryBytesMax} allowed` : undefined;
}

function hasLimits({ processesMax, memoryBytesMax }: TreeLimits): boolean {
  return processesMax !== undefined || memoryBytesMax !== undefined;
}

/** The same of a container: what the kernel has done about it first, then what is seen. */
export function excessOf(container: Container, limits: TreeLimits): string | undefined {
  if (!hasLimits(limits)) return undefined;
  return container.excess?.() ?? excess(container.members(), limits);
}

/** Looks until disposed of; tells once. Costs nothing for a tree without limits. */
export function watchLimits(container: Container, limits: TreeLimits, onExcess: (what: string) => void): Disposable {
  if (!hasLimits(limits)) return { [Symbol.dispose]() {} };
  const timer = setInterval(() => {
    const what = excessOf(container, limits);
    if (what === undefined) return;
    clearInterval(timer);
    onExcess(what);
  }, lookMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
