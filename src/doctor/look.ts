/**
 * One look at the machine: processes, their descriptors, the sockets. Everything is read once, when it is first asked for,
 * so that judging one tree costs what that tree costs, and so that all judgements of one look rest on the same facts.
 */
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { systemClock } from "../clock.ts";
import { allPids, bootId, childrenOf, readProcess, type LinuxProcess } from "../platform/linux/processes.ts";
import { isAlive } from "../platform/types.ts";
import { pipeEndsOf, readDescriptor, readDescriptors, type Descriptor, type Unreadable } from "./descriptors.ts";
import type { FarEnd } from "./far-ends.ts";
import { readTcpSockets, type TcpSocket } from "./tcp-sockets.ts";
import { readUnixSockets, type UnixSocket } from "./unix-sockets.ts";

export type Seen = LinuxProcess;

/** Who holds a socket, or one end of a pipe. */
export interface Holder {
  pid: number;
  number: number;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined; // ended, or not ours to read: nothing to see either way
  }
}

/** Remembers what a question about a number was answered. */
function once<T>(ask: (key: number) => T): (key: number) => T {
  const answers = new Map<number, T>();
  return (key) => {
    const known = answers.get(key);
    if (known !== undefined || answers.has(key)) return known as T;
    const answer = ask(key);
    answers.set(key, answer);
    return answer;
  };
}

export class Look {
  readonly bootId = bootId();
  readonly takenAt = systemClock.now();
  /** What far-ends.ts found out in this look. */
  readonly farEnds = new Map<string, FarEnd>();
  /** Every live process but threads of the kernel. */
  readonly processes = new Map<number, Seen>();
  readonly #children = new Map<number, Seen[]>();
  #unix: Map<number, UnixSocket> | undefined | "unread" = "unread";
  #holders: { sockets: Map<number, Holder[]>; pipes: Map<number, Holder[]>; unread: Set<number> } | undefined;

  constructor() {
    for (const pid of allPids()) {
      const seen = readProcess(pid);
      if (!isAlive(seen) || seen.isKernelThread) continue;
      this.processes.set(pid, seen);
    }
    for (const seen of this.processes.values()) {
      const siblings = this.#children.get(seen.ppid);
      if (siblings === undefined) this.#children.set(seen.ppid, [seen]);
      else siblings.push(seen);
    }
  }

  /** This process and all that it stands below: whoever asked for the look, the terminal or agent that it was asked from, and so on. */
  get askers(): ReadonlySet<number> {
    if (this.#askers.size > 0) return this.#askers;
    for (let pid = process.pid; !this.#askers.has(pid); pid = this.processes.get(pid)?.ppid ?? pid)
      this.#askers.add(pid);
    return this.#askers;
  }

  readonly #askers = new Set<number>();

  childrenOf(pid: number): readonly Seen[] {
    return this.#children.get(pid) ?? [];
  }

  /** Pids of the children in the kernel's own order. */
  readonly childListOf: (pid: number) => readonly number[] = once(childrenOf);

  /** A process and everything below it, parents first. */
  treeOf(root: Seen): Seen[] {
    const tree = [root];
    for (const one of tree) tree.push(...this.childrenOf(one.pid));
    return tree;
  }

  readonly wordsOf = once((pid): readonly string[] => {
    const text = (read(`/proc/${pid}/cmdline`) ?? "").replace(/\0+$/, "");
    // A title that a program wrote over its arguments (npm does) has blanks between its words.
    return text.includes("\0") ? text.split("\0") : text.split(" ").filter(Boolean);
  });

  /** For people: the arguments joined by blanks, or the kernel's name in brackets. */
  readonly commandOf = once((pid): string => {
    const words = this.wordsOf(pid);
    if (words.length > 0) return words.join(" ").replaceAll(/\p{Cc}+/gu, " ");
    return `[${read(`/proc/${pid}/comm`)?.trimEnd() ?? "?"}]`;
  });

  /** `name=value` entries; undefined when they may not be read. */
  environmentOf(pid: number): readonly string[] | undefined {
    return this.#environment(pid)?.split("\0");
  }

  /** The entry `<name>=…` of an environment. */
  variableOf(pid: number, name: string): string | undefined {
    const text = this.#environment(pid) ?? "";
    if (!text.includes(`${name}=`)) return undefined;
    return text.split("\0").find((entry) => entry.startsWith(`${name}=`));
  }

  readonly #environment = once((pid) => read(`/proc/${pid}/environ`));

  /** One field of /proc/<pid>/status, or "". */
  statusOf(pid: number, field: string): string {
    return new RegExp(`^${field}:\\s*(.*)$`, "m").exec(this.#status(pid))?.[1] ?? "";
  }

  readonly #status = once((pid) => read(`/proc/${pid}/status`) ?? "");

  /** Path of the v2 cgroup, or of the first one of v1; "" when unknown. */
  readonly cgroupOf = once((pid): string => {
    const lines = (read(`/proc/${pid}/cgroup`) ?? "").split("\n");
    const line =
      lines.find((each) => each.startsWith("0::")) ?? lines.find((each) => each.includes("name=systemd")) ?? "";
    return line.split(":").slice(2).join(":");
  });

  /** Which namespace of a kind ("pid", "net") a process is in; undefined when that may not be seen. */
  namespaceOf(pid: number | "self", kind: "pid" | "net"): string | undefined {
    const path = `/proc/${pid}/ns/${kind}`;
    if (this.#namespaces.has(path)) return this.#namespaces.get(path);
    let name: string | undefined;
    try {
      name = readlinkSync(path);
    } catch {
      name = undefined; // another user's: nothing may be said about it
    }
    this.#namespaces.set(path, name);
    return name;
  }

  readonly #namespaces = new Map<string, string | undefined>();

  readonly userOf = once((pid): number | undefined => {
    try {
      return statSync(`/proc/${pid}`).uid;
    } catch {
      return undefined; // ended
    }
  });

  readonly descriptorsOf: (pid: number) => Descriptor[] | Unreadable = once(readDescriptors);

  readonly stdinOf: (pid: number) => Descriptor | Unreadable | undefined = once((pid) => readDescriptor(pid, 0));
  readonly stdoutOf: (pid: number) => Descriptor | Unreadable | undefined = once((pid) => readDescriptor(pid, 1));

  /** Undefined: no such unix socket in our network namespace, or the kernel does not tell (see `canSeeSockets`). */
  unixSocket(inode: number): UnixSocket | undefined {
    return this.#unixSockets()?.get(inode);
  }

  get canSeeSockets(): boolean {
    return this.#unixSockets() !== undefined;
  }

  #unixSockets(): Map<number, UnixSocket> | undefined {
    if (this.#unix === "unread") this.#unix = readUnixSockets();
    return this.#unix;
  }

  /** TCP sockets of the network namespace that a process is in, by inode. */
  tcpSocketsOf(pid: number): Map<number, TcpSocket> {
    const space = this.namespaceOf(pid, "net") ?? "";
    let known = this.#tcp.get(space);
    if (known === undefined) {
      known = new Map(readTcpSockets(pid).map((socket) => [socket.inode, socket]));
      this.#tcp.set(space, known);
    }
    return known;
  }

  readonly #tcp = new Map<string, Map<number, TcpSocket>>();

  socketHolders(inode: number): Holder[] {
    return this.#everybody().sockets.get(inode) ?? [];
  }

  /** Which ends of a pipe one descriptor is. */
  pipeEnds(pid: number, number: number): { reads: boolean; writes: boolean } {
    const name = `${pid} ${number}`;
    let ends = this.#pipeEnds.get(name);
    if (ends === undefined) {
      ends = pipeEndsOf(pid, number);
      this.#pipeEnds.set(name, ends);
    }
    return ends;
  }

  readonly #pipeEnds = new Map<string, { reads: boolean; writes: boolean }>();

  /** Who holds the reading or the writing end of a pipe. */
  pipeHolders(inode: number, end: "read" | "write"): Holder[] {
    return (this.#everybody().pipes.get(inode) ?? []).filter(({ pid, number }) => {
      const { reads, writes } = this.pipeEnds(pid, number);
      return end === "read" ? reads : writes;
    });
  }

  /** Processes whose descriptors may not be read: a search for holders is not complete while there are any. */
  get unreadable(): ReadonlySet<number> {
    return this.#everybody().unread;
  }

  /** The dear part, a walk over every descriptor of the machine: only when a question needs it. */
  #everybody() {
    if (this.#holders !== undefined) return this.#holders;
    const sockets = new Map<number, Holder[]>();
    const pipes = new Map<number, Holder[]>();
    const unread = new Set<number>();
    for (const pid of this.processes.keys()) {
      const descriptors = this.descriptorsOf(pid);
      if (descriptors === "denied") unread.add(pid);
      if (typeof descriptors === "string") continue;
      for (const { kind, inode, number } of descriptors) {
        if (kind !== "socket" && kind !== "pipe") continue;
        const into = kind === "socket" ? sockets : pipes;
        const holders = into.get(inode);
        if (holders === undefined) into.set(inode, [{ pid, number }]);
        else holders.push({ pid, number });
      }
    }
    this.#holders = { sockets, pipes, unread };
    return this.#holders;
  }
}

/** Processor time of live processes now, in ms; what has ended since counts as nothing. */
export function cpuMsNow(processes: readonly Seen[]): number {
  let sum = 0;
  for (const { pid, startTime } of processes) {
    const now = readProcess(pid);
    if (now?.startTime === startTime) sum += now.cpuMs;
  }
  return sum;
}
