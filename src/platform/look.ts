/** One look at the machine, for `doctor`: who holds what. All that one look tells rests on the same facts. */
import type { ProcessInfo } from "./process.ts";

export interface Seen extends ProcessInfo {
  /** In milliseconds since 1970; within one look it tells which of two processes is older. */
  readonly startedAt: number;
  readonly processGroup: number;
  readonly session: number;
  /** A terminal listens to its process group. */
  readonly isInForeground: boolean;
}

export interface Descriptor {
  readonly number: number;
  readonly kind: "pipe" | "socket" | "terminal" | "null" | "other";
  /** Of a pipe or socket: the kernel's number for it. */
  readonly inode: number;
  /** For people. */
  readonly target: string;
}

/** `denied`: another user's process, or one that hides; `gone`: it has ended. */
export type Unreadable = "denied" | "gone";

/** Who holds the other end of a pipe or socket. "Closed" comes from the kernel alone, never from an unsuccessful search. */
export type FarEnd =
  | { readonly state: "closed" }
  /** `isComplete`: nothing on this machine was hidden from the search. */
  | { readonly state: "held"; readonly holders: number[]; readonly isComplete: boolean }
  | { readonly state: "unknown"; readonly cause: UnknownEnd };

/** Why the other end cannot be known. */
export type UnknownEnd =
  | "no-other-end"
  | "datagram"
  | "never-connected"
  | "both-ways"
  | "pipe-denied"
  | "network"
  | "no-socket-table"
  | "other-kind";

export interface UnixSocket {
  readonly inode: number;
  /** The socket at the other end; 0 when there is none. */
  readonly peer: number;
  readonly isStream: boolean;
  readonly isListening: boolean;
  /** Bound to a path or an abstract name: others can find it, or it came from a listener that they found. */
  readonly hasName: boolean;
  /** Both directions are shut down, as they are when the other end has been closed. */
  readonly isShut: boolean;
}

export interface TcpSocket {
  readonly inode: number;
  readonly state: string;
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
}

export interface Look {
  readonly takenAt: number;
  /** Every live process but threads of the kernel. */
  readonly processes: ReadonlyMap<number, Seen>;
  /** This process and its ancestors. */
  readonly askers: ReadonlySet<number>;
  childrenOf(pid: number): readonly Seen[];
  /** In the order in which they became its children. */
  childListOf(pid: number): readonly number[];
  /** A process and everything below it, parents first. */
  treeOf(root: Seen): Seen[];
  /** Program and arguments. */
  wordsOf(pid: number): readonly string[];
  /** For people. */
  commandOf(pid: number): string;
  /** `name=value` entries; undefined when they may not be read. */
  environmentOf(pid: number): readonly string[] | undefined;
  /** The entry `<name>=…` of an environment. */
  variableOf(pid: number, name: string): string | undefined;
  /** Name of the service that the service manager runs it for; undefined when it runs for none. */
  serviceOf(pid: number): string | undefined;
  /** It ignores the end of its terminal and honours a request to end, as nohup makes a program do. */
  isMadeToStay(pid: number): boolean;
  isTraced(pid: number): boolean;
  /** Whether it lives in another namespace of this kind than this process. */
  isElsewhere(pid: number, kind: "pid" | "net"): boolean;
  /** Undefined when it has ended. */
  userOf(pid: number): number | undefined;
  stdinOf(pid: number): Descriptor | Unreadable | undefined;
  stdoutOf(pid: number): Descriptor | Unreadable | undefined;
  descriptorOf(pid: number, number: number): Descriptor | Unreadable | undefined;
  descriptorsOf(pid: number): Descriptor[] | Unreadable;
  /** Which ends of a pipe one descriptor is. */
  pipeEnds(pid: number, number: number): { readonly reads: boolean; readonly writes: boolean };
  /** `near`: processes to ask before the whole machine is searched; when one of them holds the end, the search stops. */
  farEndOf(pid: number, descriptor: Descriptor, near?: readonly number[]): FarEnd;
  /** Undefined: no unix socket of our network namespace, or the system does not tell (see `canSeeSockets`). */
  unixSocket(inode: number): UnixSocket | undefined;
  readonly canSeeSockets: boolean;
  /** TCP sockets of the network namespace that a process is in, by inode. */
  tcpSocketsOf(pid: number): ReadonlyMap<number, TcpSocket>;
  /** Every TCP socket that can be seen from here. */
  ownTcpSockets(): TcpSocket[];
  /** Pids of the holders. */
  socketHolders(inode: number): number[];
  /** The system hides other users' processes. */
  readonly hidesOthers: boolean;
}
