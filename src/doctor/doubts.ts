/** Reasons to spare a tree although no process holds its stdin and stdout. */
import type { Descriptor, Look, Seen } from "../platform/look.ts";
import type { Tree } from "./trees.ts";

/** A terminal counts when the tree is in its foreground: most orphans keep their client's terminal number. */
function isAtTerminal(look: Look, seen: Seen): boolean {
  if (seen.isInForeground) return true;
  const stdin = look.stdinOf(seen.pid);
  return typeof stdin === "object" && stdin.kind === "terminal";
}

/** Sockets and pipes through which outsiders could still use this process. */
function connectionDoubts(
  look: Look,
  seen: Seen,
  descriptors: readonly Descriptor[],
  parts: {
    own: ReadonlySet<number>;
    ownSockets: ReadonlySet<number>;
    isNamed: boolean;
    isDoomed: (pid: number) => boolean;
  },
): string[] {
  const who = `pid ${seen.pid}`;
  const doubts: string[] = [];
  for (const descriptor of descriptors) {
    if (descriptor.kind === "pipe") {
      if (descriptor.number > 2 && pipeDoubt(look, seen.pid, descriptor, parts))
        doubts.push(`${who} has a pipe (descriptor ${descriptor.number}) that another process still holds`);
      continue;
    }
    if (descriptor.kind !== "socket") continue;
    const unix = look.unixSocket(descriptor.inode);
    if (unix === undefined) {
      // Last, because the kernel's list of TCP sockets is expensive and rarely needed.
      const tcp = look.tcpSocketsOf(seen.pid).get(descriptor.inode);
      if (tcp?.state === "LISTEN") doubts.push(`${who} listens on ${tcp.local} port ${tcp.localPort}`);
      else if (tcp?.state === "ESTABLISHED" && !parts.isNamed)
        doubts.push(
          `${who} is connected with ${tcp.remote} port ${tcp.remotePort}, and nothing says that it is an MCP server`,
        );
      continue;
    }
    if (unix.isListening) doubts.push(`${who} listens on a unix socket`);
    else if (descriptor.number > 2 && !parts.ownSockets.has(unix.peer) && unix.peer !== 0) {
      // A named peer is a system service (such as D-Bus), not a holder.
      if (unix.hasName) doubts.push(`${who} has a client on its own unix socket`);
      else if (look.unixSocket(unix.peer)?.hasName !== true && !isHeldByDoomed(look, unix.peer, parts.isDoomed))
        doubts.push(
          `${who} has a socketpair (descriptor ${descriptor.number}) whose other end is held outside of the tree`,
        );
    }
  }
  return doubts;
}

function isHeldByDoomed(look: Look, inode: number, isDoomed: (pid: number) => boolean): boolean {
  const holders = look.socketHolders(inode);
  return holders.length > 0 && holders.every(isDoomed);
}

/** Whether a pipe beyond stdio leads in and its other end is still held. */
function pipeDoubt(
  look: Look,
  pid: number,
  descriptor: Descriptor,
  { own, isDoomed }: { own: ReadonlySet<number>; isDoomed: (pid: number) => boolean },
): boolean {
  const { reads, writes } = look.pipeEnds(pid, descriptor.number);
  if (!reads || writes) return false; // leads out, both ways in one, or closed in between
  const far = look.farEndOf(pid, descriptor, [...own]);
  if (far.state === "closed") return false;
  if (far.state === "unknown") return true;
  return far.holders.length === 0 || far.holders.some((holder) => !own.has(holder) && !isDoomed(holder));
}

function placeDoubts(look: Look, { root, members }: Tree): string[] {
  const doubts: string[] = [];
  if (look.isElsewhere(root.pid, "pid")) doubts.push("it is in a container (another pid namespace)");
  if (look.isElsewhere(root.pid, "net")) doubts.push("it is in another network namespace");
  if (look.isMadeToStay(root.pid)) doubts.push("it ignores SIGHUP, as under nohup: it may be meant to stay");
  for (const seen of members) {
    if (isAtTerminal(look, seen)) doubts.push(`pid ${seen.pid} is at a terminal`);
    if (look.isTraced(seen.pid)) doubts.push(`pid ${seen.pid} is being debugged`);
    if (seen.pid === process.pid) doubts.push("this doctor runs inside it");
  }
  return doubts;
}

export function doubtsOf(look: Look, tree: Tree, isDoomed: (pid: number) => boolean): string[] {
  const { members, recognised } = tree;
  const doubts = placeDoubts(look, tree);
  if (recognised === undefined) doubts.push("nothing says that it is an MCP server");
  const own = new Set(members.map(({ pid }) => pid));
  const read = members.map((seen) => ({ seen, descriptors: look.descriptorsOf(seen.pid) }));
  const ownSockets = new Set(
    read.flatMap(({ descriptors }) => (typeof descriptors === "string" ? [] : descriptors.map(({ inode }) => inode))),
  );
  const parts = { own, ownSockets, isNamed: recognised?.strength === "named", isDoomed };
  for (const { seen, descriptors } of read) {
    if (descriptors === "denied") doubts.push(`the descriptors of pid ${seen.pid} may not be read`);
    else if (descriptors !== "gone") doubts.push(...connectionDoubts(look, seen, descriptors, parts));
  }
  return doubts;
}
