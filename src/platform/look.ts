/** One look at the machine, for `doctor`: who holds what. All its answers rest on the same facts. */
import type { ProcessInfo } from "./process.ts";

export interface Seen extends ProcessInfo {
  /** In milliseconds since 1970; comparable within one look. */
  readonly startedAt: number;
  readonly processGroup: number;
  readonly session: number;
  /** The foreground process group of a terminal. */
  readonly isInForeground: boolean;
}

export interface Descriptor {
  readonly number: number;
  readonly kind: "pipe" | "socket" | "terminal" | "null" | "other";
  /** The kernel's number of a pipe or socket. */
  readonly inode: number;
  /** For people. */
  readonly target: string;
}

/** `denied`: another user's process, or a hidden one; `gone`: it has ended. */
export type Unreadable = "denied" | "gone";

/** Holders of the other end of a pipe or socket. "Closed" comes only from the kernel, never from an unsuccessful search. */
export type FarEnd =
  | { readonly state: "closed" }
  /** `isComplete`: the search could see everything on this machine. */
  | { readonly state: "held"; readonly holders: number[]; readonly isComplete: boolean }
  | { readonly state: "unknown"; readonly cause: UnknownEnd };

/** Why the other end is unknown. */
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
  /** Bound to a path or an abstract name: other processes can find it, or it came from a listener found that way. */
  readonly hasName: boolean;
  /** Both directions are shut down, as after closing the other end. */
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
  /** Every live process except kernel threads. */
  readonly processes: ReadonlyMap<number, Seen>;
  /** This process and its ancestors. */
  readonly askers: ReadonlySet<number>;
  /**
   * Whether its parent forked it or took it over, from the kernel's record; `either` when that fits both. Undefined where the
   * kernel keeps none.
   */
  originOf(pid: number): "forked" | "adopted" | "either" | undefined;
  childrenOf(pid: number): readonly Seen[];
  /** Oldest child first. */
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
  /** Name of its service in the service manager; undefined for other processes. */
  serviceOf(pid: number): string | undefined;
  /** Ignores the end of its terminal but honours a request to end, as under nohup. */
  isMadeToStay(pid: number): boolean;
  isTraced(pid: number): boolean;
  /** Whether its namespace of this kind differs from this process's. */
  isElsewhere(pid: number, kind: "pid" | "net"): boolean;
  /** Undefined after its end. */
  userOf(pid: number): number | undefined;
  stdinOf(pid: number): Descriptor | Unreadable | undefined;
  stdoutOf(pid: number): Descriptor | Unreadable | undefined;
  descriptorOf(pid: number, number: number): Descriptor | Unreadable | undefined;
  descriptorsOf(pid: number): Descriptor[] | Unreadable;
  /** The pipe ends of one descriptor. */
  pipeEnds(pid: number, number: number): { readonly reads: boolean; readonly writes: boolean };
  /** `near`: processes to check before the whole machine; the search stops when one of them holds the end. */
  farEndOf(pid: number, descriptor: Descriptor, near?: readonly number[]): FarEnd;
  /** Undefined: no unix socket of our network namespace, or the system denies access (see `canSeeSockets`). */
  unixSocket(inode: number): UnixSocket | undefined;
  readonly canSeeSockets: boolean;
  /** TCP sockets of a process's network namespace, by inode. */
  tcpSocketsOf(pid: number): ReadonlyMap<number, TcpSocket>;
  /** Every TCP socket visible from here. */
  ownTcpSockets(): TcpSocket[];
  /** Pids of the holders. */
  socketHolders(inode: number): number[];
  /** The system hides other users' processes. */
  readonly hidesOthers: boolean;
}
