/** Finds trees: servers or possible orphans, and what belongs to each. */
import { platform } from "../platform/index.ts";
import { markerVariable } from "../platform/marker.ts";
import type { Descriptor, Look, Seen } from "../platform/look.ts";
import { ownerBehind, parentageOf } from "./parentage.ts";
import { clientOf, isAgent, isShell, recogniseEnvironment, recogniseServer, type Recognised } from "./recognise.ts";

export interface Tree {
  root: Seen;
  /** Live processes, the root first. */
  members: Seen[];
  /** Undefined: not recognised, only orphaned. */
  recognised: Recognised | undefined;
  /** Ties of members that are not below the root. */
  ties: Map<number, string>;
}

type Stream = Descriptor | string | undefined;
const isStream = (descriptor: Stream): descriptor is Descriptor =>
  typeof descriptor === "object" && (descriptor.kind === "pipe" || descriptor.kind === "socket");
const isSame = (first: Stream, second: Stream) =>
  isStream(first) && isStream(second) && first.kind === second.kind && first.inode === second.inode;

const hasStdio = (look: Look, pid: number) => isStream(look.stdinOf(pid)) && isStream(look.stdoutOf(pid));

/** Ancestors of the doctor end a tree, or it would contain everything started from there. */
const endsAt = (look: Look, parent: Seen, child: Seen) => look.askers.has(parent.pid) && !look.askers.has(child.pid);

/** The outermost process with the same stdin, such as `npx`, `sh -c` or `holdfast run`. */
function outermost(look: Look, seen: Seen): Seen {
  let top = seen;
  for (;;) {
    const parent = look.processes.get(top.ppid);
    if (parent === undefined || endsAt(look, parent, top) || parentageOf(look, top).kind !== "live") return top;
    if (!isSame(look.stdinOf(parent.pid), look.stdinOf(top.pid)) || clientOf(look.wordsOf(parent.pid))) return top;
    top = parent;
  }
}

/** Otherwise the outermost ancestor that looks like a server too. */
function outermostNamed(look: Look, seen: Seen): Seen {
  let top = seen;
  for (;;) {
    const parent = look.processes.get(top.ppid);
    if (parent === undefined || endsAt(look, parent, top) || recogniseServer(look.wordsOf(parent.pid)) === undefined)
      return top;
    top = parent;
  }
}

/**
 * Classifies a process by name. Of the doctor's own ancestors only programs that say MCP count, since shell text
 * contains all kinds of words.
 */
function recogniseByName(look: Look, { pid }: Seen): Recognised | undefined {
  const words = look.wordsOf(pid);
  const found = recogniseServer(words);
  if (look.askers.has(pid) && (isShell(words) || found?.strength !== "named")) return undefined;
  return found;
}

/** Unrecognised processes count if an agent holds them by pipes, or their stdio lost its peers. */
function recogniseByPlace(look: Look, seen: Seen): Recognised | "abandoned" | undefined {
  const parent = look.processes.get(seen.ppid);
  if (parent === undefined || seen.pid === 1 || look.askers.has(seen.pid)) return undefined;
  const client = clientOf(look.wordsOf(ownerBehind(look, parent).pid));
  const words = look.wordsOf(seen.pid);
  if (platform.isHelper(words)) return undefined;
  if (client !== undefined && isAgent(client)) {
    if (isShell(words) || clientOf(words) !== undefined || !hasStdio(look, seen.pid)) return undefined;
    return { how: `${client} holds it by pipes`, strength: "generic" };
  }
  if (parentageOf(look, seen).kind === "live" || !hasStdio(look, seen.pid)) return undefined;
  const ends = [look.stdinOf(seen.pid), look.stdoutOf(seen.pid)].filter(isStream);
  return ends.every((end) => look.farEndOf(seen.pid, end).state === "closed") ? "abandoned" : undefined;
}

function findRoots(look: Look): Map<number, { root: Seen; recognised: Recognised | undefined }> {
  const roots = new Map<number, { root: Seen; recognised: Recognised | undefined }>();
  const add = (root: Seen, recognised: Recognised | undefined) => {
    const known = roots.get(root.pid)?.recognised;
    if (known === undefined || (known.strength === "generic" && recognised?.strength === "named"))
      roots.set(root.pid, { root, recognised: recognised ?? known });
  };
  for (const seen of look.processes.values()) {
    if (seen.pid === 1) continue;
    const byName = recogniseByName(look, seen);
    if (byName === undefined) {
      const byPlace = recogniseByPlace(look, seen);
      if (byPlace === "abandoned") add(outermost(look, seen), recogniseEnvironment(look.environmentOf(seen.pid) ?? []));
      else if (byPlace !== undefined) add(outermost(look, seen), byPlace);
    } else if (hasStdio(look, seen.pid)) add(outermost(look, seen), byName);
    else if (byName.strength === "named" || look.stdinOf(seen.pid) === "denied")
      add(outermostNamed(look, seen), byName);
  }
  return roots;
}

/** Finds the tree of a re-parented process, by ties only descendants can have. */
class Ties {
  readonly #look: Look;
  readonly #byMember = new Map<number, Tree>();
  readonly #byStream = new Map<string, Tree>();
  readonly #byMarker = new Map<string, Tree>();

  constructor(look: Look, trees: Tree[]) {
    this.#look = look;
    for (const tree of trees) {
      for (const { pid } of tree.members) this.#byMember.set(pid, tree);
      for (const number of [0, 1]) {
        const key = this.#streamKey(tree.root.pid, number);
        if (key !== undefined && !this.#byStream.has(key)) this.#byStream.set(key, tree);
      }
      const marker = look.variableOf(tree.root.pid, markerVariable);
      if (marker !== undefined && !this.#byMarker.has(marker)) this.#byMarker.set(marker, tree);
    }
  }

  of({ pid, session, processGroup }: Seen): { tree: Tree; why: string } | undefined {
    for (const leader of [session, processGroup]) {
      const tree = leader === pid ? undefined : this.#byMember.get(leader);
      if (tree !== undefined) return { tree, why: `is of the session or process group that pid ${leader} leads` };
    }
    for (const number of [0, 1, 2]) {
      const key = this.#streamKey(pid, number);
      const tree = key === undefined ? undefined : this.#byStream.get(key);
      if (tree !== undefined) return { tree, why: `has the tree's own stdin or stdout as its descriptor ${number}` };
    }
    const marker = this.#byMarker.size === 0 ? undefined : this.#look.variableOf(pid, markerVariable);
    const tree = marker === undefined ? undefined : this.#byMarker.get(marker);
    return tree === undefined ? undefined : { tree, why: `carries ${marker}` };
  }

  /** Equal for the same end of the same pipe or socket only. */
  #streamKey(pid: number, number: number): string | undefined {
    const descriptor =
      number === 0
        ? this.#look.stdinOf(pid)
        : number === 1
          ? this.#look.stdoutOf(pid)
          : this.#look.descriptorOf(pid, number);
    if (!isStream(descriptor)) return undefined;
    if (descriptor.kind === "socket") return `socket ${descriptor.inode}`;
    return `pipe ${descriptor.inode} ${JSON.stringify(this.#look.pipeEnds(pid, number))}`;
  }
}

/** A helper found as its own tree but tied to an older one joins that. */
function mergeTied(look: Look, trees: Tree[]): void {
  const ties = new Ties(look, trees);
  for (const tree of trees) {
    if (parentageOf(look, tree.root).kind !== "reparented") continue;
    const tie = ties.of(tree.root);
    if (tie === undefined || tie.tree === tree || tie.tree.members.length === 0) continue;
    tie.tree.members.push(...tree.members.splice(0));
    tie.tree.recognised ??= tree.recognised;
    tie.tree.ties.set(tree.root.pid, tie.why);
  }
}

function joinStrays(look: Look, trees: Tree[], owned: Set<number>): void {
  const ties = new Ties(look, trees);
  for (const stray of look.processes.values()) {
    if (owned.has(stray.pid) || stray.pid === 1 || parentageOf(look, stray).kind !== "reparented") continue;
    const tie = ties.of(stray);
    if (tie === undefined) continue;
    const joining = look.treeOf(stray).filter(({ pid }) => !owned.has(pid));
    for (const { pid } of joining) owned.add(pid);
    tie.tree.members.push(...joining);
    tie.tree.ties.set(stray.pid, tie.why);
  }
}

/** Every tree, oldest root first; none contains another. */
export function findTrees(look: Look): Tree[] {
  const found = [...findRoots(look).values()].map((each) => ({ ...each, depth: depthOf(look, each.root) }));
  const owned = new Set<number>();
  const trees: Tree[] = [];
  // Top down: what is below another root belongs to its tree.
  for (const { root, recognised } of found.toSorted((first, second) => first.depth - second.depth)) {
    if (owned.has(root.pid)) continue;
    const members = look.treeOf(root).filter(({ pid }) => !owned.has(pid));
    for (const { pid } of members) owned.add(pid);
    trees.push({ root, members, recognised, ties: new Map() });
  }
  trees.sort((first, second) => first.root.startedAt - second.root.startedAt);
  mergeTied(look, trees);
  const whole = trees.filter(({ members }) => members.length > 0);
  joinStrays(look, whole, owned);
  return whole;
}

function depthOf(look: Look, seen: Seen): number {
  let depth = 0;
  for (let at = look.processes.get(seen.ppid); at !== undefined && depth < look.processes.size; depth += 1)
    at = look.processes.get(at.ppid);
  return depth;
}
