/**
 * Who is at the other end of a pipe or socketpair of a process. "Nobody" comes from the kernel alone, never from not having
 * found anybody: a descriptor may be in another namespace, in flight, or another user's.
 */
import { isPipeAbandoned, type Descriptor } from "./descriptors.ts";
import type { Look } from "./look.ts";

export type FarEnd =
  | { state: "closed" }
  /** `isComplete`: nothing on this machine was hidden from the search. */
  | { state: "held"; holders: number[]; isComplete: boolean }
  | { state: "unknown"; why: string };

/** Unique, in order. */
const distinct = (pids: number[]) => [...new Set(pids)].toSorted((first, second) => first - second);

const sawEverybody = (look: Look) => look.unreadable.size === 0;

/**
 * The far end of one descriptor. `near`: processes to ask before the whole machine is searched; when one of them
 * holds the end, the others are not looked for.
 */
export function farEndOf(look: Look, pid: number, descriptor: Descriptor, near: readonly number[] = []): FarEnd {
  const question = `${pid} ${descriptor.number} ${near.join(",")}`;
  let known = look.farEnds.get(question);
  if (known === undefined) {
    known = findFarEnd(look, pid, descriptor, near);
    look.farEnds.set(question, known);
  }
  return known;
}

function findFarEnd(look: Look, pid: number, descriptor: Descriptor, near: readonly number[]): FarEnd {
  if (descriptor.kind === "pipe") return farEndOfPipe(look, pid, descriptor, near);
  if (descriptor.kind !== "socket") return { state: "unknown", why: `${descriptor.target} has no other end` };
  const socket = look.unixSocket(descriptor.inode);
  if (socket === undefined) return { state: "unknown", why: whyNoSocket(look, pid, descriptor.inode) };
  if (!socket.isStream)
    return { state: "unknown", why: "a datagram socket does not say whether its other end is closed" };
  // The peer is gone and both directions are shut: the one without the other is a half close, or a socket of a listener.
  if (socket.peer === 0) {
    if (socket.isShut) return { state: "closed" };
    return { state: "unknown", why: "its socket has no peer, but was not shut" };
  }
  const isPeer = ({ kind, inode }: Descriptor) => kind === "socket" && inode === socket.peer;
  const asked = holdersAmong(look, near, isPeer);
  if (asked.length > 0) return { state: "held", holders: asked, isComplete: false };
  const holders = distinct(look.socketHolders(socket.peer).map((holder) => holder.pid));
  return { state: "held", holders, isComplete: sawEverybody(look) && holders.length > 0 };
}

function farEndOfPipe(look: Look, pid: number, descriptor: Descriptor, near: readonly number[]): FarEnd {
  const own = look.pipeEnds(pid, descriptor.number);
  if (own.reads === own.writes) return { state: "unknown", why: "its pipe is open both ways, or was just closed" };
  const wanted = own.reads ? "write" : "read";
  const isOther = ({ kind, inode, number }: Descriptor, holder: number) =>
    kind === "pipe" && inode === descriptor.inode && look.pipeEnds(holder, number)[own.reads ? "writes" : "reads"];
  const asked = holdersAmong(look, near, isOther);
  if (asked.length > 0) return { state: "held", holders: asked, isComplete: false };
  const abandoned = isPipeAbandoned(pid, descriptor, own.reads ? "read" : "write");
  if (abandoned === true) return { state: "closed" };
  const holders = distinct(look.pipeHolders(descriptor.inode, wanted).map((holder) => holder.pid));
  if (abandoned === undefined && holders.length === 0)
    return { state: "unknown", why: "its pipe may not be looked at" };
  return { state: "held", holders, isComplete: sawEverybody(look) && holders.length > 0 };
}

function holdersAmong(look: Look, pids: readonly number[], isIt: (one: Descriptor, pid: number) => boolean): number[] {
  return pids.filter((pid) => {
    const descriptors = look.descriptorsOf(pid);
    return typeof descriptors !== "string" && descriptors.some((each) => isIt(each, pid));
  });
}

function whyNoSocket(look: Look, pid: number, inode: number): string {
  if (look.tcpSocketsOf(pid).has(inode)) return "it is a network connection";
  if (!look.canSeeSockets) return "the kernel does not tell the peers of sockets (no unix_diag)";
  return "its socket is in another network namespace, or of another kind";
}
