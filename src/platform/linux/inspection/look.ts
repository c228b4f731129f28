/**
 * One look at the machine: processes, their descriptors, the sockets. Everything is read once, on first use, so that judging a
 * tree costs only what that tree costs, and all judgements of one look rest on the same facts.
 */
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { systemClock } from "../../../clock.ts";
import { findFarEnd, type EndSearch } from "../../far-ends.ts";
import type { Descriptor, FarEnd, Look, Seen, TcpSocket, Unreadable, UnixSocket } from "../../look.ts";
import { once } from "../../once.ts";
import { isAlive } from "../../types.ts";
import { allPids, childrenOf, readProcess, startedAtOf, ticksPerSecond } from "../processes.ts";
import { isPipeAbandoned, pipeEndsOf, readDescriptor, readDescriptors } from "./descriptors.ts";
import { readTcpSockets } from "./tcp-sockets.ts";
import { readUnixSockets } from "./unix-sockets.ts";

interface Holder {
  pid: number;
  number: number;
}

/** SIGHUP and SIGTERM in the mask of ignored signals. */
const hangUpBit = 1n << 0n;
const terminateBit = 1n << 14n;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // ended, or not ours to read: nothing to see either way
  }
}

export class LinuxLook implements Look, EndSearch {
  readonly takenAt = systemClock.now();
  readonly processes = new Map<number, Seen>();
  readonly #children = new Map<number, Seen[]>();
  readonly #farEnds = new Map<string, FarEnd>();
  readonly #askers = new Set<number>();
  readonly #namespaces = new Map<string, string | undefined>();
  readonly #pipeEnds = new Map<string, { reads: boolean; writes: boolean }>();
  readonly #tcp = new Map<string, Map<number, TcpSocket>>();
  #unix: Map<number, UnixSocket> | undefined | "unread" = "unread";
  #holders: { sockets: Map<number, Holder[]>; pipes: Map<number, Holder[]>; unread: Set<number> } | undefined;

  constructor() {
    const bootedAt = startedAtOf({ startTime: "0" });
    for (const pid of allPids()) {
      const seen = readProcess(pid);
      if (!isAlive(seen) || seen.isKernelThread) continue;
      const startedAt = bootedAt + (Number(seen.startTime) * 1000) / ticksPerSecond;
      const isInForeground = seen.terminal !== 0 && seen.processGroup === seen.foregroundGroup;
      this.processes.set(pid, { ...seen, startedAt, isInForeground });
    }
    for (const seen of this.processes.values()) {
      const siblings = this.#children.get(seen.ppid);
      if (siblings === undefined) this.#children.set(seen.ppid, [seen]);
      else siblings.push(seen);
    }
  }

  /** Linux forgets who forked a process. */
  originOf(): undefined {
    return undefined;
  }

  get askers(): ReadonlySet<number> {
    if (this.#askers.size > 0) return this.#askers;
    for (let pid = process.pid; !this.#askers.has(pid); pid = this.processes.get(pid)?.ppid ?? pid)
      this.#askers.add(pid);
    return this.#askers;
  }

  childrenOf(pid: number): readonly Seen[] {
    return this.#children.get(pid) ?? [];
  }

  readonly childListOf: (pid: number) => readonly number[] = once(childrenOf);

  treeOf(root: Seen): Seen[] {
    const tree = [root];
    for (const one of tree) tree.push(...this.childrenOf(one.pid));
    return tree;
  }

  readonly wordsOf = once((pid): readonly string[] => {
    const text = (read(`/proc/${pid}/cmdline`) ?? "").replace(/\0+$/, "");
    // A title written over the arguments (as npm does) separates them by blanks.
    return text.includes("\0") ? text.split("\0") : text.split(" ").filter(Boolean);
  });

  readonly commandOf = once((pid): string => {
    const words = this.wordsOf(pid);
    if (words.length > 0) return words.join(" ").replaceAll(/\p{Cc}+/gu, " ");
    return `[${read(`/proc/${pid}/comm`)?.trimEnd() ?? "?"}]`;
  });

  environmentOf(pid: number): readonly string[] | undefined {
    return this.#environment(pid)?.split("\0");
  }

  variableOf(pid: number, name: string): string | undefined {
    const text = this.#environment(pid) ?? "";
    if (!text.includes(`${name}=`)) return undefined;
    return text.split("\0").find((entry) => entry.startsWith(`${name}=`));
  }

  readonly #environment = once((pid) => read(`/proc/${pid}/environ`));

  isMadeToStay(pid: number): boolean {
    const text = this.#statusOf(pid, "SigIgn");
    if (!/^[0-9a-f]+$/.test(text)) return false;
    const ignored = BigInt(`0x${text}`);
    return (ignored & hangUpBit) !== 0n && (ignored & terminateBit) === 0n;
  }

  isTraced(pid: number): boolean {
    return !/^0?$/.test(this.#statusOf(pid, "TracerPid"));
  }

  /** One field of /proc/<pid>/status, or "". */
  #statusOf(pid: number, field: string): string {
    return new RegExp(`^${field}:\\s*(.*)$`, "m").exec(this.#status(pid))?.[1] ?? "";
  }

  readonly #status = once((pid) => read(`/proc/${pid}/status`) ?? "");

  /** The last part of its v2 cgroup, or of the first v1 one, where systemd names its units. */
  readonly serviceOf = once((pid): string | undefined => {
    const lines = (read(`/proc/${pid}/cgroup`) ?? "").split("\n");
    const line = lines.find((each) => each.startsWith("0::")) ?? lines.find((each) => each.includes("name=systemd"));
    const unit = line?.split("/").at(-1);
    return unit?.endsWith(".service") === true ? unit : undefined;
  });

  isElsewhere(pid: number, kind: "pid" | "net"): boolean {
    return this.#namespaceOf(pid, kind) !== this.#namespaceOf("self", kind);
  }

  /** Undefined when access is denied. */
  #namespaceOf(pid: number | "self", kind: "pid" | "net"): string | undefined {
    const path = `/proc/${pid}/ns/${kind}`;
    if (this.#namespaces.has(path)) return this.#namespaces.get(path);
    let name: string | undefined;
    try {
      name = readlinkSync(path);
    } catch {
      name = undefined; // another user's: unknown
    }
    this.#namespaces.set(path, name);
    return name;
  }

  readonly userOf = once((pid): number | undefined => {
    try {
      return statSync(`/proc/${pid}`).uid;
    } catch {
      return undefined; // ended
    }
  });

  readonly descriptorsOf: (pid: number) => Descriptor[] | Unreadable = once(readDescriptors);

  readonly descriptorOf = readDescriptor;

  readonly stdinOf: (pid: number) => Descriptor | Unreadable | undefined = once((pid) => readDescriptor(pid, 0));
  readonly stdoutOf: (pid: number) => Descriptor | Unreadable | undefined = once((pid) => readDescriptor(pid, 1));

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

  farEndOf(pid: number, descriptor: Descriptor, near: readonly number[] = []): FarEnd {
    const question = `${pid} ${descriptor.number} ${near.join(",")}`;
    let known = this.#farEnds.get(question);
    if (known === undefined) {
      known = findFarEnd(this, pid, descriptor, near);
      this.#farEnds.set(question, known);
    }
    return known;
  }

  tcpSocketsOf(pid: number): Map<number, TcpSocket> {
    const space = this.#namespaceOf(pid, "net") ?? "";
    let known = this.#tcp.get(space);
    if (known === undefined) {
      known = new Map(readTcpSockets(pid).map((socket) => [socket.inode, socket]));
      this.#tcp.set(space, known);
    }
    return known;
  }

  ownTcpSockets(): TcpSocket[] {
    return readTcpSockets("self");
  }

  socketHolders(inode: number): number[] {
    return (this.#everybody().sockets.get(inode) ?? []).map(({ pid }) => pid);
  }

  get hidesOthers(): boolean {
    const mounts = read("/proc/self/mounts") ?? "";
    return /^\S+ \/proc proc \S*hidepid=(?:[12]|noaccess|invisible|ptraceable)/m.test(mounts);
  }

  pipeEnds(pid: number, number: number): { reads: boolean; writes: boolean } {
    const name = `${pid} ${number}`;
    let ends = this.#pipeEnds.get(name);
    if (ends === undefined) {
      ends = pipeEndsOf(pid, number);
      this.#pipeEnds.set(name, ends);
    }
    return ends;
  }

  readonly isPipeAbandoned = isPipeAbandoned;

  pipeHolders(inode: number, end: "read" | "write"): number[] {
    const holders = (this.#everybody().pipes.get(inode) ?? []).filter(({ pid, number }) => {
      const { reads, writes } = this.pipeEnds(pid, number);
      return end === "read" ? reads : writes;
    });
    return holders.map(({ pid }) => pid);
  }

  get unreadable(): ReadonlySet<number> {
    return this.#everybody().unread;
  }

  /** The expensive part, a walk over every descriptor of the machine: on demand only. */
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
