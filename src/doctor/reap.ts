/**
 * Ends trees whose owner is proven dead. What was shown and agreed to is only a list of identities: each tree is looked at and
 * judged anew right before its first signal, and is left alone when the proof does not hold any more.
 */
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
  /** How many processes of it ended, and the memory that they had (resident, shared pages counted in each). */
  processes: number;
  rssBytes: number;
}

export interface Reaped {
  ended: ReapedTree[];
  /** Agreed to, but not touched: why. */
  spared: { pid: number; command: string; why: string }[];
  /** Signalled and still there. */
  survivors: { pid: number; state: string; command: string }[];
  processes: number;
  rssBytes: number;
}

/** For the death of one tree after its kill; what takes longer is in uninterruptible sleep, or another user's. */
const deathBoundMs = 5000;

const nameOf = ({ pid, startTime }: { pid: number; startTime: string }) => `${pid} ${startTime}`;

/** The same tree as the kernel shows it now; undefined when its root is gone. */
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

/** All of a tree that lives now: each process that was seen in it, and what is below that. */
function livingOf(members: readonly ProcessInfo[]): ProcessInfo[] {
  const living = new Map<number, ProcessInfo>();
  for (const { pid, startTime } of members) {
    const now = platform.processes.read(pid);
    if (!isAlive(now) || now.startTime !== startTime) continue;
    for (const each of [now, ...platform.processes.descendants(pid)]) if (isAlive(each)) living.set(each.pid, each);
  }
  return [...living.values()];
}

/** Kills what is proven; undefined when the proof does not hold any more, with the reason in `spare`. */
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
  // What is forked between two rounds is below somebody who was seen; all of it is stopped before anything is killed.
  const seen = new Map<string, ProcessInfo>(now.members.map((each) => [nameOf(each), each]));
  platform.killAll(() => {
    const living = livingOf([...seen.values()]);
    for (const each of living) seen.set(nameOf(each), each);
    return living;
  });
  const alive = () => [...seen.values()].filter((each) => platform.isSameAlive(each));
  await untilTrue(() => alive().length === 0, deathBoundMs);
  return { seen: [...seen.values()], left: alive(), command };
}

/** Ends those of the trees that are still proven to have lost their owner. */
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
      // A tree that only orphans hold has its turn when they are gone: then the kernel can say that nobody holds it.
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
