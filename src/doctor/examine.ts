/** The whole examination: one look at the machine as the report of `doctor`. Changes nothing. */
import { systemClock } from "../clock.ts";
import { platform } from "../platform/index.ts";
import { stateLetters, type ProcessRef } from "../platform/types.ts";
import { judgeAll, type Judgement, type Verdict } from "./judge.ts";
import { findLeftovers, type Leftover } from "./leftovers.ts";
import type { Look, Seen } from "../platform/look.ts";
import { viewTiers, type TierView } from "./machine.ts";
import { viewPort, type PortView } from "./ports.ts";
import { clientOf } from "./recognise.ts";
import { findTrees, type Tree } from "./trees.ts";

interface ProcessView {
  pid: number;
  ppid: number;
  startTime: string;
  state: string;
  rssBytes: number;
  /** Processor time since its start. */
  cpuMs: number;
  command: string;
  /** Its tie to the tree; null below the root. */
  tie: string | null;
}

interface OwnerView {
  pid: number;
  /** The client's name if known. */
  client: string | null;
  command: string;
}

export interface TreeView {
  verdict: Verdict;
  root: ProcessRef;
  command: string;
  /** Evidence of an MCP server, or null. */
  recognised: string | null;
  /** Null: gone, or unknown. */
  owner: OwnerView | null;
  evidence: string[];
  doubts: string[];
  startedAt: number;
  rssBytes: number;
  cpuMs: number;
  processes: ProcessView[];
}

interface Unseen {
  /** Live processes of other users with unreadable descriptors. */
  processes: number;
  users: { uid: number; processes: number }[];
  /** One line each, for people. */
  words: string[];
}

export interface Report {
  takenAt: number;
  tookMs: number;
  tiers: TierView[];
  trees: TreeView[];
  copies: { owner: OwnerView | null; command: string; count: number }[];
  warnings: string[];
  leftovers: Leftover[];
  port: PortView | null;
  unseen: Unseen;
}

/** Number of trees worth a warning. */
const treesWarn = 50;
/** Copies of one command under one owner worth a warning. */
const copiesWarn = 5;
/** Interval between the looks at processor time. */
const watchMs = 100;
/** Below this share of one core over its life, and without use while watched, a tree is idle. */
const idleShareMax = 0.01;

function viewOwner(look: Look, owner: Seen | undefined): OwnerView | null {
  if (owner === undefined) return null;
  return { pid: owner.pid, client: clientOf(look.wordsOf(owner.pid)) ?? null, command: look.commandOf(owner.pid) };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function viewTree(look: Look, tree: Tree, { verdict, owner, evidence, doubts }: Judgement): TreeView {
  const { root, members, recognised, ties } = tree;
  return {
    verdict,
    root: { pid: root.pid, startTime: root.startTime, bootId: root.bootId },
    command: look.commandOf(root.pid),
    recognised: recognised?.how ?? null,
    owner: viewOwner(look, owner),
    evidence,
    doubts,
    startedAt: root.startedAt,
    rssBytes: sum(members.map(({ rssBytes }) => rssBytes)),
    cpuMs: sum(members.map(({ cpuMs }) => cpuMs)),
    processes: members.map(({ pid, ppid, startTime, state, rssBytes, cpuMs }) => {
      const command = look.commandOf(pid);
      return {
        pid,
        ppid,
        startTime,
        state: stateLetters[state],
        rssBytes,
        cpuMs,
        command,
        tie: ties.get(pid) ?? null,
      };
    }),
  };
}

/** Processor time of live processes now, in milliseconds; what has ended since counts as nothing. */
function cpuMsNow(processes: readonly Seen[]): number {
  const now = processes.map(({ pid, startTime }) => {
    const info = platform.processes.read(pid);
    return info?.startTime === startTime ? info.cpuMs : 0;
  });
  return sum(now);
}

/** A tree with a live owner that is idle. */
function isIdle({ members }: Tree, view: TreeView, now: number): boolean {
  if (cpuMsNow(members) > sum(members.map(({ cpuMs }) => cpuMs))) return false;
  return view.cpuMs <= Math.max(now - view.startedAt, 1000) * idleShareMax || view.cpuMs < 1000;
}

function findCopies(trees: readonly TreeView[]): Report["copies"] {
  const groups = new Map<string, Report["copies"][number]>();
  for (const { owner, command, verdict } of trees) {
    const key = `${owner?.pid ?? verdict} ${command}`;
    const group = groups.get(key) ?? { owner, command, count: 0 };
    group.count += 1;
    groups.set(key, group);
  }
  return [...groups.values()].filter(({ count }) => count > 1).toSorted((first, second) => second.count - first.count);
}

function warningsOf(trees: readonly TreeView[], copies: Report["copies"]): string[] {
  const warnings: string[] = [];
  if (trees.length > treesWarn)
    warnings.push(`${trees.length} MCP server trees on one machine (more than ${treesWarn})`);
  for (const { owner, command, count } of copies) {
    if (count < copiesWarn || owner === null) continue;
    warnings.push(
      `pid ${owner.pid}${owner.client === null ? "" : ` (${owner.client})`} holds ${count} copies of one command: ${command}`,
    );
  }
  return warnings;
}

function findUnseen(look: Look): Unseen {
  const own = process.getuid?.() ?? 0;
  const users = new Map<number, number>();
  const words: string[] = [];
  if (own !== 0) {
    for (const pid of look.processes.keys()) {
      const uid = look.userOf(pid);
      if (uid !== undefined && uid !== own) users.set(uid, (users.get(uid) ?? 0) + 1);
    }
  }
  const processes = sum([...users.values()]);
  if (processes > 0)
    words.push(`the descriptors of ${processes} processes of other users could not be seen; as root they can`);
  if (own !== 0 && look.hidesOthers)
    words.push("the system hides other users' processes (hidepid): how many there are cannot be seen");
  if (!look.canSeeSockets)
    words.push("the kernel does not tell the peers of sockets (no unix_diag): socketpairs stay unknown");
  return { processes, users: [...users].map(([uid, count]) => ({ uid, processes: count })), words };
}

export async function examine(options: { port?: number | undefined } = {}): Promise<Report> {
  const began = systemClock.monotonic();
  const look = platform.look();
  const trees = findTrees(look);
  const judgements = judgeAll(look, trees);
  const port = options.port === undefined ? null : viewPort(look, options.port);
  const leftovers = findLeftovers(look);
  const unseen = findUnseen(look);
  const judged = trees.map((tree) => {
    const found = judgements.get(tree);
    if (found === undefined) throw new Error(`the tree of pid ${tree.root.pid} was not judged`);
    return { tree, view: viewTree(look, tree, found) };
  });
  // Only the rest of the interval is waited for.
  if (judged.some(({ view }) => view.verdict === "in-use"))
    await systemClock.sleep(Math.max(0, watchMs - (systemClock.monotonic() - began)));
  for (const { tree, view } of judged)
    if (view.verdict === "in-use" && isIdle(tree, view, look.takenAt)) view.verdict = "idle";
  const views = judged.map(({ view }) => view);
  const copies = findCopies(views);
  const tookMs = Math.round(systemClock.monotonic() - began);
  const warnings = warningsOf(views, copies);
  return { takenAt: look.takenAt, tookMs, tiers: viewTiers(), trees: views, copies, warnings, leftovers, port, unseen };
}
