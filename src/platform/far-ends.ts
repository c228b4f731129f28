/** Finds the holder of the other end of a pipe or socketpair; it may be in another namespace, in flight, or another user's. */
import type { Descriptor, FarEnd, Look, UnknownEnd } from "./look.ts";

type LookAtEnds = Pick<
  Look,
  "canSeeSockets" | "descriptorsOf" | "pipeEnds" | "socketHolders" | "tcpSocketsOf" | "unixSocket"
>;

/** The search's view of a look. */
export interface EndSearch extends LookAtEnds {
  /** Pids that hold the reading or the writing end of a pipe. */
  pipeHolders(inode: number, end: "read" | "write"): number[];
  /** Whether the other end of this pipe is closed everywhere, as the kernel says; undefined when it does not. */
  isPipeAbandoned(pid: number, descriptor: Descriptor, end: "read" | "write"): boolean | undefined;
  /** Processes with unreadable descriptors: while there are any, the search is incomplete. */
  readonly unreadable: ReadonlySet<number>;
}

const unknown = (cause: UnknownEnd): FarEnd => ({ state: "unknown", cause });

/** Unique, in order. */
const distinct = (pids: number[]) => [...new Set(pids)].toSorted((first, second) => first - second);

const sawEverybody = (look: EndSearch) => look.unreadable.size === 0;

export function findFarEnd(look: EndSearch, pid: number, descriptor: Descriptor, near: readonly number[]): FarEnd {
  if (descriptor.kind === "pipe") return farEndOfPipe(look, pid, descriptor, near);
  if (descriptor.kind !== "socket") return unknown("no-other-end");
  const socket = look.unixSocket(descriptor.inode);
  if (socket === undefined) return unknown(causeOf(look, pid, descriptor.inode));
  if (!socket.isStream) return unknown("datagram");
  // The peer is gone and both directions are shut: either alone is a half close, or a socket of a listener.
  if (socket.peer === 0) return socket.isShut ? { state: "closed" } : unknown("never-connected");
  const isPeer = ({ kind, inode }: Descriptor) => kind === "socket" && inode === socket.peer;
  const asked = holdersAmong(look, near, isPeer);
  if (asked.length > 0) return { state: "held", holders: asked, isComplete: false };
  const holders = distinct(look.socketHolders(socket.peer));
  return { state: "held", holders, isComplete: sawEverybody(look) && holders.length > 0 };
}

function farEndOfPipe(look: EndSearch, pid: number, descriptor: Descriptor, near: readonly number[]): FarEnd {
  const own = look.pipeEnds(pid, descriptor.number);
  if (own.reads === own.writes) return unknown("both-ways");
  const wanted = own.reads ? "write" : "read";
  const isOther = ({ kind, inode, number }: Descriptor, holder: number) =>
    kind === "pipe" && inode === descriptor.inode && look.pipeEnds(holder, number)[own.reads ? "writes" : "reads"];
  const asked = holdersAmong(look, near, isOther);
  if (asked.length > 0) return { state: "held", holders: asked, isComplete: false };
  const abandoned = look.isPipeAbandoned(pid, descriptor, own.reads ? "read" : "write");
  if (abandoned === true) return { state: "closed" };
  const holders = distinct(look.pipeHolders(descriptor.inode, wanted));
  if (abandoned === undefined && holders.length === 0) return unknown("pipe-denied");
  return { state: "held", holders, isComplete: sawEverybody(look) && holders.length > 0 };
}

function holdersAmong(
  look: EndSearch,
  pids: readonly number[],
  isIt: (one: Descriptor, pid: number) => boolean,
): number[] {
  return pids.filter((pid) => {
    const descriptors = look.descriptorsOf(pid);
    return typeof descriptors !== "string" && descriptors.some((each) => isIt(each, pid));
  });
}

function causeOf(look: EndSearch, pid: number, inode: number): UnknownEnd {
  if (look.tcpSocketsOf(pid).has(inode)) return "network";
  return look.canSeeSockets ? "other-kind" : "no-socket-table";
}
