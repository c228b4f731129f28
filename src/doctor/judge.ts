/** The verdict on a tree. `owner-dead` is a proof from the kernel's answers; names, age and silence prove nothing. */
import type { FarEnd, Look, Seen, UnknownEnd } from "../platform/look.ts";
import { ownerBehind, parentageOf, type Parentage } from "./parentage.ts";
import { doubtsOf } from "./doubts.ts";
import type { Tree } from "./trees.ts";

/** `in-use` and `idle` have a live owner; examine.ts distinguishes them. */
export type Verdict = "owner-dead" | "in-use" | "idle" | "unknown";

export interface Judgement {
  verdict: Verdict;
  /** The process that holds its other ends, or its live parent. */
  owner: Seen | undefined;
  /** Observed facts, one line each. */
  evidence: string[];
  /** What is missing from the proof. Empty for `owner-dead`, `in-use` and `idle`. */
  doubts: string[];
  /** Pids that hold an end of stdin or stdout and are orphans themselves: they must end first. */
  heldBy: number[];
}

interface StdioEnd {
  name: "stdin" | "stdout";
  far: FarEnd;
}

const unknownEnds: Record<UnknownEnd, string> = {
  "no-other-end": "it has no other end",
  datagram: "a datagram socket does not say whether its other end is closed",
  "never-connected": "its socket has no peer, but was not shut",
  "both-ways": "its pipe is open both ways, or was just closed",
  "pipe-denied": "its pipe may not be looked at",
  network: "it is a network connection",
  "no-socket-table": "the kernel does not tell the peers of sockets (no unix_diag)",
  "other-kind": "its socket is in another network namespace, or of another kind",
};

function describeEnd({ name, far }: StdioEnd): string {
  if (far.state === "closed") return `${name}: no process holds the other end`;
  if (far.state === "unknown") return `${name}: ${unknownEnds[far.cause]}`;
  if (far.holders.length === 0) return `${name}: the other end is held, by a process that cannot be seen`;
  return `${name}: the other end is held by pid ${far.holders.slice(0, 5).join(", ")}${far.holders.length > 5 ? ", …" : ""}`;
}

function stdioEnds(look: Look, { root }: Tree, near: readonly number[]): StdioEnd[] | string {
  const ends: StdioEnd[] = [];
  for (const name of ["stdin", "stdout"] as const) {
    const descriptor = name === "stdin" ? look.stdinOf(root.pid) : look.stdoutOf(root.pid);
    if (descriptor === "denied") return "its descriptors may not be read (another user's process)";
    if (typeof descriptor !== "object") return `its ${name} is closed`;
    if (descriptor.kind !== "pipe" && descriptor.kind !== "socket")
      return `its ${name} is ${descriptor.target}: it does not depend on a pipe`;
    ends.push({ name, far: look.farEndOf(root.pid, descriptor, near) });
  }
  return ends;
}

const judgement = (parts: Partial<Judgement> & Pick<Judgement, "verdict">): Judgement => ({
  owner: undefined,
  evidence: [],
  doubts: [],
  heldBy: [],
  ...parts,
});

function judgeWithLiveParent(look: Look, tree: Tree, parent: Seen): Judgement {
  const evidence = [`its parent, pid ${parent.pid}, lives`];
  const owner = ownerBehind(look, parent);
  const ends = stdioEnds(look, tree, [parent.pid]);
  if (typeof ends === "string") return judgement({ verdict: "unknown", owner, evidence, doubts: [ends] });
  evidence.push(...ends.map(describeEnd));
  if (!ends.every(({ far }) => far.state === "closed")) return judgement({ verdict: "in-use", owner, evidence });
  const doubts = [
    `pid ${parent.pid} has closed both ends, but is alive: it may be ending the server, or have forgotten it`,
  ];
  return judgement({ verdict: "unknown", owner, evidence, doubts });
}

function judgeReparented(look: Look, tree: Tree, parentage: Parentage, isDoomed: (pid: number) => boolean): Judgement {
  const evidence = parentage.kind === "reparented" ? [`re-parented: ${parentage.how}`] : [];
  const doubts = parentage.kind === "unknown" ? [parentage.why] : [];
  const ends = stdioEnds(look, tree, []);
  if (typeof ends === "string") return judgement({ verdict: "unknown", evidence, doubts: [...doubts, ends] });
  evidence.push(...ends.map(describeEnd));
  const own = new Set(tree.members.map(({ pid }) => pid));
  const heldBy = new Set<number>();
  for (const { name, far } of ends) {
    if (far.state === "unknown") doubts.push(describeEnd({ name, far }));
    if (far.state !== "held") continue;
    const outside = far.holders.filter((pid) => !own.has(pid));
    const living = outside.filter((pid) => !isDoomed(pid));
    const owner = living.map((pid) => look.processes.get(pid)).find((each) => each !== undefined);
    if (owner !== undefined) return judgement({ verdict: "in-use", owner, evidence });
    for (const pid of outside) heldBy.add(pid);
    if (far.isComplete) evidence.push(`${name}: all who hold it are orphans of the same kind, or of this tree`);
    else doubts.push(`${name}: an invisible process may hold the other end`);
  }
  doubts.push(...doubtsOf(look, tree, isDoomed));
  const verdict = doubts.length === 0 ? "owner-dead" : "unknown";
  return judgement({ verdict, evidence, doubts, heldBy: [...heldBy] });
}

/** `isDoomed`: whether a process belongs to a presumed orphan, so that its hold does not count. */
export function judge(look: Look, tree: Tree, isDoomed: (pid: number) => boolean = () => false): Judgement {
  const parentage = parentageOf(look, tree.root);
  if (parentage.kind === "live") return judgeWithLiveParent(look, tree, parentage.parent);
  return judgeReparented(look, tree, parentage, isDoomed);
}

/** Candidates without any holder, or held only by such candidates. */
function grounded(candidates: ReadonlyMap<Tree, Judgement>, treeOf: ReadonlyMap<number, Tree>): Set<Tree> {
  const found = new Set<Tree>();
  for (let size = -1; size !== found.size;) {
    size = found.size;
    for (const [tree, { heldBy }] of candidates)
      if (heldBy.every((pid) => found.has(treeOf.get(pid) as Tree))) found.add(tree);
  }
  return found;
}

/**
 * Judges all trees. Careless hosts let each server inherit ends of earlier ones, so trees held only by orphans are
 * orphans. The set of presumed orphans shrinks until it is consistent, and each must lead back to one without any
 * holder: two programs holding each other prove nothing.
 */
export function judgeAll(look: Look, trees: readonly Tree[]): Map<Tree, Judgement> {
  const treeOf = new Map<number, Tree>();
  for (const tree of trees) for (const { pid } of tree.members) treeOf.set(pid, tree);
  // A live parent decides alone.
  const settled = new Map<Tree, Judgement>();
  for (const tree of trees) if (parentageOf(look, tree.root).kind === "live") settled.set(tree, judge(look, tree));
  let doomed = new Set(trees.filter(({ root }) => parentageOf(look, root).kind === "reparented"));
  for (;;) {
    const isDoomed = (pid: number) => doomed.has(treeOf.get(pid) as Tree);
    const judged = new Map(trees.map((tree) => [tree, settled.get(tree) ?? judge(look, tree, isDoomed)]));
    const dead = new Map([...judged].filter(([tree, { verdict }]) => verdict === "owner-dead" && doomed.has(tree)));
    const next = grounded(dead, treeOf);
    // Ending a tree breaks the pipes of those it holds: they must be orphans too.
    for (const [tree, { heldBy }] of judged)
      if (!next.has(tree)) for (const pid of heldBy) next.delete(treeOf.get(pid) as Tree);
    if (next.size === doomed.size) return withoutClaims(judged, doomed);
    doomed = next;
  }
}

/** Explains trees that looked proven alone but are not in the set. */
function withoutClaims(judged: Map<Tree, Judgement>, doomed: ReadonlySet<Tree>): Map<Tree, Judgement> {
  for (const [tree, one] of judged) {
    if (one.verdict !== "owner-dead" || doomed.has(tree)) continue;
    const doubts = ["it and other trees hold each other's pipes, and not all of them are proven to be orphans"];
    judged.set(tree, { ...one, verdict: "unknown", doubts });
  }
  return judged;
}
