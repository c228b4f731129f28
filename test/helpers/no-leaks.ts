/** Holds a suite to its own promise: when it is over, the test process has the descriptors and children it began with. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { after, before } from "node:test";
import { isLive } from "./pids.ts";
import { until } from "./until.ts";

interface Snapshot {
  /** What each descriptor stands for, e.g. "socket:" or a path; numbers of sockets and pipes are left out. */
  descriptors: string[];
  children: number[];
}

function takeSnapshot(): Snapshot {
  const descriptors: string[] = [];
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`);
      // Event and timer descriptors belong to the runtime, which opens them when it likes.
      if (!target.startsWith("anon_inode:") && !target.startsWith("/proc/"))
        descriptors.push(target.replace(/\[\d+\]$/, ""));
    } catch {
      // The descriptor that listed the directory is closed by now.
    }
  }
  const children: number[] = [];
  for (const task of readdirSync("/proc/self/task")) {
    const line = childrenOf(task);
    children.push(
      ...line
        .split(" ")
        .filter((word) => word.trim() !== "")
        .map(Number),
    );
  }
  return { descriptors, children: children.filter((pid) => isLive({ pid })) };
}

function childrenOf(task: string): string {
  try {
    return readFileSync(`/proc/self/task/${task}/children`, "latin1");
  } catch {
    return ""; // a thread of the runtime that ended since it was listed
  }
}

/** Says what the second snapshot has and the first has not. */
function addedSince(first: Snapshot, second: Snapshot): string[] {
  const known = [...first.descriptors];
  const added: string[] = [];
  for (const target of second.descriptors) {
    const place = known.indexOf(target);
    if (place === -1) added.push(`descriptor ${target}`);
    else known.splice(place, 1);
  }
  for (const pid of second.children) if (!first.children.includes(pid)) added.push(`child ${pid}`);
  return added;
}

/** Call once at the top of a test file, or inside a `describe`. */
export function leavesNothing(): void {
  let first: Snapshot | undefined;
  before(() => {
    first = takeSnapshot();
  });
  after(async () => {
    const began = first ?? takeSnapshot();
    let added: string[] = [];
    const isClean = () => {
      added = addedSince(began, takeSnapshot());
      return added.length === 0;
    };
    // Closing a socket takes a turn of the loop or two; a leak takes for ever.
    await until("no leak", isClean, { boundMs: 2000 }).catch((cause: unknown) => {
      throw new Error(`the test process is left with: ${added.join(", ")}`, { cause });
    });
  });
}
