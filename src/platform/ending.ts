/**
 * Ends a changing process tree and proves it empty, on every system. A tree forks while it is inspected and killed, so every
 * answer rests on more than one look.
 */
import type { Clock } from "../clock.ts";
import { markedRun, markerVariable } from "./marker.ts";
import { isAlive, type ProcessInfo, type ProcessRef, type ProcessTable } from "./types.ts";
import { untilTrue } from "./wait.ts";

/** The system functions needed to end a tree. */
export interface System {
  readonly clock: Clock;
  readonly processes: ProcessTable;
  /** Signals this exact process or nothing. False: it is gone or may not be signalled. */
  signal(ref: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): boolean;
}

/** Stop-then-kill rounds for a tree that keeps forking. */
const haltRoundsMax = 50;
/** Looks at a list that keeps changing; after that it counts as unproven. */
const looksMax = 3;
/** Time for the kernel to end killed processes. */
const killMs = 100;
/** Time between two looks at a tree that is being killed. */
const lookMs = 20;

/**
 * Kills everything that `look` shows. Stops it first, round by round until nothing new appears, so that a tree cannot fork
 * faster than it is killed.
 */
export function killAll(system: System, look: () => ProcessInfo[]): void {
  const halted = new Map<number, ProcessInfo>();
  for (let round = 0; round < haltRoundsMax; round += 1) {
    const fresh = look().filter((info) => isAlive(info) && halted.get(info.pid)?.startTime !== info.startTime);
    if (fresh.length === 0) break;
    for (const info of fresh) {
      system.signal(info, "SIGSTOP");
      halted.set(info.pid, info);
    }
  }
  for (const info of halted.values()) system.signal(info, "SIGKILL");
}

/**
 * Whether a list of processes holds no live one. A process that dies between the listing and the look may have left an unseen
 * child, so the answer is yes only when everything listed was known to be dead before the listing.
 */
export function isProvenEmpty({ processes }: Pick<System, "processes">, list: () => number[]): boolean {
  let dead = new Set<number>();
  for (let look = 0; look < looksMax; look += 1) {
    const listed = list();
    if (listed.every((pid) => dead.has(pid))) return true;
    if (listed.some((pid) => isAlive(processes.read(pid)))) return false;
    dead = new Set(listed);
  }
  return false;
}

/** Whether none of these lives any more: what cannot be killed is looked at again after a pause, not at once and for ever. */
export function areGone({ processes }: Pick<System, "processes">, seen: readonly ProcessInfo[]): boolean {
  return seen.every(({ pid, startTime }) => {
    const now = processes.read(pid);
    return !isAlive(now) || now.startTime !== startTime;
  });
}

/** Every live process with a marker of this owner, by run id. On Linux about 7 ms for 600 processes. */
export function findMarked({ processes }: Pick<System, "processes">, ownerId: string): Map<string, ProcessInfo[]> {
  const found = new Map<string, ProcessInfo[]>();
  for (const pid of processes.pids()) {
    const environment = processes.environment(pid);
    if (environment === undefined || !environment.includes(`${markerVariable}=`)) continue;
    const runId = markedRun(environment.split("\0"), ownerId);
    const info = runId === undefined ? undefined : processes.read(pid);
    if (runId === undefined || !isAlive(info)) continue;
    found.set(runId, [...(found.get(runId) ?? []), info]);
  }
  return found;
}

/** A tree that the kernel does not count; `members` follows the kernel's parent links. */
export interface ScannedTree {
  members(): ProcessInfo[];
  looksEmpty(): boolean;
  /** Live processes of the run anywhere, by marker. */
  marked(): Promise<ProcessInfo[]>;
  /** Placeholder for a tree changing too fast for a complete look, since an empty list would be a proof. */
  stand(): ProcessInfo | undefined;
}

/** Kills until two kinds of look find nothing. Resolves with the survivors after `boundMs`. */
export async function endScanned(system: System, tree: ScannedTree, boundMs: number): Promise<ProcessInfo[]> {
  const deadline = system.clock.monotonic() + boundMs;
  const remaining = async () => {
    if (!tree.looksEmpty()) return tree.members();
    const marked = await tree.marked();
    return marked.length === 0 ? undefined : marked;
  };
  let left = await remaining();
  while (left !== undefined && system.clock.monotonic() < deadline) {
    const seen = left;
    killAll(system, () => {
      const now = tree.members();
      return now.length > 0 ? now : seen;
    });
    await untilTrue(() => tree.looksEmpty() && areGone(system, seen), lookMs, system.clock);
    left = await remaining();
  }
  if (left === undefined) return [];
  const stand = tree.stand();
  return left.length > 0 || stand === undefined ? left : [stand];
}

/** A tree that the kernel counts and kills as one. */
export interface FencedTree {
  members(): ProcessInfo[];
  isPopulated(): boolean;
  kill(): void;
  /** Gives helpers outside the fence, which carry the marker too, time to end after it. */
  dismissHelpers(): Promise<unknown>;
  marked(): Promise<ProcessInfo[]>;
}

/** Kills a fence until the kernel reports it empty, then escaped processes. */
export async function endFenced(system: System, tree: FencedTree, boundMs: number): Promise<ProcessInfo[]> {
  const deadline = system.clock.monotonic() + boundMs;
  tree.kill();
  await untilTrue(() => !tree.isPopulated(), Math.min(killMs, boundMs), system.clock);
  // The kernel's kill goes to first threads: a process whose first thread ended before the others ignores it.
  while (tree.isPopulated() && system.clock.monotonic() < deadline) {
    for (const member of tree.members()) system.signal(member, "SIGKILL");
    tree.kill();
    await untilTrue(() => !tree.isPopulated(), killMs, system.clock);
  }
  await tree.dismissHelpers();
  let outside = await tree.marked();
  while (outside.length > 0 && system.clock.monotonic() < deadline) {
    const seen = outside;
    killAll(system, () => seen);
    await untilTrue(() => areGone(system, seen), lookMs, system.clock);
    outside = await tree.marked();
  }
  // Survivors inside carry the marker, too.
  const inside = tree.members();
  return [...inside, ...outside.filter(({ pid }) => !inside.some((member) => member.pid === pid))];
}
