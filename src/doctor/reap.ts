/**
 * Ends trees whose owner is proven dead. Each is looked at and judged again right before its first signal, and spared
 * if the proof fails.
 */
import { systemClock } from "../clock.ts";
import { platform } from "../platform/index.ts";
import { isAlive, stateLetters, type ProcessInfo, type ProcessRef } from "../platform/types.ts";
import { untilTrue } from "../platform/wait.ts";
import type { TreeView } from "./examine.ts";
import { judge, judgeAll } from "./judge.ts";
import type { Look } from "../platform/look.ts";
import { findTrees, type Tree } from "./trees.ts";

interface ReapedTree {
  pid: number;
  command: string;
  /** Processes ended and their resident memory (shared pages counted in each). */
  processes: number;
  rssBytes: number;
}

export interface Reaped {
  ended: ReapedTree[];
  /** Agreed to but spared, and why. */
  spared: { pid: number; command: string; why: string }[];
  /** Signalled but still alive. */
  survivors: { pid: number; state: string; command: string }[];
  processes: number;
  rssBytes: number;
}

/** Time for a killed tree to die; slower ones are in uninterruptible sleep or another user's. */
const deathBoundMs = 5000;

const nameOf = ({ pid, startTime }: { pid: number; startTime: string }) => `${pid} ${startTime}`;

/** The tree as it is now; undefined when its root is gone. */
function refresh(look: Look, tree: Tree): Tree | undefined {
  const root = look.processes.get(tree.root.pid);
  if (root === undefined || root.startTime !== tree.root.startTime) return undefined;
  const members = look.treeOf(root);
  const known = new Set(members.map(({ pid }) => pid));
  for (const { pid, startTime } of tree.members) {
    const now = look.processes.get(pid);
    if (known.has(pid) || now?.startTime !== startTime) continue;
    for (const each of look.treeOf(now)) {
      if (known.has(each.pid)) continue;
      known.add(each.pid);
      members.push(each);
    }
  }
  return { ...tree, root, members };
}

/** Its live processes and their descendants. */
function livingOf(members: readonly ProcessInfo[]): ProcessInfo[] {
  const living = new Map<number, ProcessInfo>();
  for (const { pid, startTime } of members) {
    const now = platform.processes.read(pid);
    if (!isAlive(now) || now.startTime !== startTime) continue;
    for (const each of [now, ...platform.processes.descendants(pid)]) if (isAlive(each)) living.set(each.pid, each);
  }
  return [...living.values()];
}

/** Kills a proven tree; undefined, with the reason in `spare`, if the proof fails. */
async function endTree(
  tree: Tree,
  doomed: ReadonlyMap<number, ProcessRef>,
  spare: (why: string) => void,
): Promise<{ seen: ProcessInfo[]; left: ProcessInfo[]; command: string } | undefined> {
  const look = platform.look();
  const now = refresh(look, tree);
  if (now === undefined) {
    spare("it has ended by itself");
    return undefined;
  }
  const isDoomed = (pid: number) => {
    const known = doomed.get(pid);
    return known !== undefined && look.processes.get(pid)?.startTime === known.startTime;
  };
  const { verdict, doubts, heldBy } = judge(look, now, isDoomed);
  if (verdict !== "owner-dead" || heldBy.length > 0) {
    spare(doubts[0] ?? "it has a holder again");
    return undefined;
  }
  const command = look.commandOf(now.root.pid);
  // New forks are below known processes; everything is stopped before the kill.
  const seen = new Map<string, ProcessInfo>(now.members.map((each) => [nameOf(each), each]));
  platform.killAll(() => {
    const living = livingOf([...seen.values()]);
    for (const each of living) seen.set(nameOf(each), each);
    return living;
  });
  const alive = () => [...seen.values()].filter((each) => platform.isSameAlive(each));
  await untilTrue(() => alive().length === 0, deathBoundMs, systemClock);
  return { seen: [...seen.values()], left: alive(), command };
}

/** Ends the trees that are still proven. */
export async function reap(agreed: readonly TreeView[]): Promise<Reaped> {
  const wanted = new Map(agreed.map((view) => [nameOf(view.root), view]));
  const spared = new Map<string, string>();
  const reaped: Reaped = { ended: [], spared: [], survivors: [], processes: 0, rssBytes: 0 };
  const look = platform.look();
  let open = [...judgeAll(look, findTrees(look))].filter(
    ([{ root }, { verdict }]) => verdict === "owner-dead" && wanted.get(nameOf(root))?.root.bootId === root.bootId,
  );
  const doomed = new Map(open.flatMap(([{ members }]) => members.map((each) => [each.pid, each] as const)));
  const isGone = (pid: number) => {
    const known = doomed.get(pid);
    return known === undefined || !platform.isSameAlive(known);
  };
  for (let hasEnded = true; hasEnded && open.length > 0;) {
    hasEnded = false;
    const waiting: typeof open = [];
    for (const entry of open) {
      const [tree, { heldBy }] = entry;
      // Trees held only by orphans follow after those.
      if (!heldBy.every(isGone)) {
        waiting.push(entry);
        continue;
      }
      const name = nameOf(tree.root);
      const result = await endTree(tree, doomed, (why) => spared.set(name, why));
      hasEnded = true;
      if (result === undefined) continue;
      wanted.delete(name);
      record(reaped, tree.root.pid, result);
    }
    open = waiting;
  }
  for (const [name, { root, command }] of wanted) {
    const known = spared.get(name);
    const why =
      known ??
      (platform.isSameAlive(root) ? "it is no longer proven that its owner is dead" : "it has ended by itself");
    reaped.spared.push({ pid: root.pid, command, why });
  }
  return reaped;
}

function record(
  reaped: Reaped,
  pid: number,
  { seen, left, command }: { seen: ProcessInfo[]; left: ProcessInfo[]; command: string },
): void {
  const survivors = new Set(left.map(nameOf));
  const gone = seen.filter((each) => !survivors.has(nameOf(each)));
  const rssBytes = gone.reduce((total, each) => total + each.rssBytes, 0);
  reaped.ended.push({ pid, command, processes: gone.length, rssBytes });
  reaped.processes += gone.length;
  reaped.rssBytes += rssBytes;
  for (const each of left) reaped.survivors.push({ pid: each.pid, state: stateLetters[each.state], command });
}
