/**
 * One look at a Mac, for `doctor`: processes, their descriptors, and the other ends of those. Everything is read once, on first
 * use. Handles of the kernel get small numbers, which mean the same throughout one look only.
 */
import { systemClock, type Clock } from "../../../clock.ts";
import { findFarEnd, type EndSearch } from "../../far-ends.ts";
import type { Descriptor, FarEnd, Look, Seen, TcpSocket, UnixSocket, Unreadable } from "../../look.ts";
import { once } from "../../once.ts";
import { isAlive } from "../../types.ts";
import { XnuProcesses } from "../processes.ts";
import type { InspectedXnu, XnuBearing, XnuDescriptor, XnuProcess, XnuSocket } from "../xnu.ts";
import { Handles } from "./handles.ts";

/** launchd, which adopts every orphan. */
const launchd = 1;
/** SIGHUP and SIGTERM in the mask of ignored signals. */
const hangUpBit = 1 << 0;
const terminateBit = 1 << 14;
const terminalPath = /^\/dev\/(?:tty|console|pty)/;
const nothing = { reads: false, writes: false };

interface Held extends Descriptor {
  readonly raw: XnuDescriptor;
}

interface Machine {
  /** Pids, by the number of a socket or pipe. */
  readonly holders: ReadonlyMap<number, readonly { pid: number; number: number }[]>;
  readonly unread: ReadonlySet<number>;
}

export class DarwinLook implements Look, EndSearch {
  readonly takenAt: number;
  readonly processes = new Map<number, Seen>();
  readonly askers: ReadonlySet<number>;
  /** Unix domain sockets of every process that may be read are in sight. */
  readonly canSeeSockets = true;
  /** Of other users' processes only the descriptors are hidden. */
  readonly hidesOthers = false;
  readonly #xnu: InspectedXnu;
  readonly #facts = new Map<number, { process: XnuProcess; bearing: XnuBearing | undefined }>();
  readonly #children = new Map<number, Seen[]>();
  readonly #farEnds = new Map<string, FarEnd>();
  readonly #sockets = new Map<number, XnuSocket>();
  readonly #namedPeers = new Set<number>();
  readonly #handles = new Handles();
  /** Listed, but not described: they may hold anything. */
  readonly #undescribed = new Set<number>();
  #machine: Machine | undefined;

  constructor(xnu: InspectedXnu, clock: Clock = systemClock) {
    this.#xnu = xnu;
    this.takenAt = clock.now();
    const table = new XnuProcesses(() => xnu);
    for (const pid of xnu.pids()) this.#see(pid, table);
    for (const seen of this.processes.values()) {
      const siblings = this.#children.get(seen.ppid);
      if (siblings === undefined) this.#children.set(seen.ppid, [seen]);
      else siblings.push(seen);
    }
    for (const siblings of this.#children.values()) siblings.sort((one, other) => one.startedAt - other.startedAt);
    const askers = new Set<number>();
    for (let pid = process.pid; !askers.has(pid); pid = this.processes.get(pid)?.ppid ?? pid) askers.add(pid);
    this.askers = askers;
  }

  #see(pid: number, table: XnuProcesses): void {
    const process = this.#xnu.process(pid);
    if (process === undefined) this.#undescribed.add(pid);
    const info = process === undefined ? undefined : table.infoOf(process);
    if (process === undefined || !isAlive(info)) return;
    const bearing = this.#xnu.bearing(pid);
    this.#facts.set(pid, { process, bearing });
    this.processes.set(pid, {
      ...info,
      startedAt: Number(process.startedAtUs / 1000n),
      processGroup: process.group,
      session: this.#xnu.session(pid),
      isInForeground: bearing?.isInForeground === true,
    });
  }

  /**
   * By `p_puniqueid`, the unique id of whoever forked it. An exec after the adoption makes that launchd's own, so that what
   * launchd started looks the same. A debugger is a parent, too, without having forked.
   */
  originOf(pid: number): "forked" | "adopted" | "either" {
    const process = this.#facts.get(pid)?.process;
    const parent = process === undefined ? undefined : this.#facts.get(process.ppid)?.process;
    if (process === undefined || parent === undefined) return "either";
    const isParents = process.parentUniqueId === parent.uniqueId;
    if (parent.pid === launchd) return isParents ? "either" : "adopted";
    return isParents ? "forked" : "either";
  }

  childrenOf(pid: number): readonly Seen[] {
    return this.#children.get(pid) ?? [];
  }

  childListOf(pid: number): readonly number[] {
    return this.childrenOf(pid).map((child) => child.pid);
  }

  treeOf(root: Seen): Seen[] {
    const tree = [root];
    for (const one of tree) tree.push(...this.childrenOf(one.pid));
    return tree;
  }

  readonly #arguments = once((pid) => this.#xnu.arguments(pid));

  wordsOf(pid: number): readonly string[] {
    const argv = this.#arguments(pid)?.argv ?? [];
    if (argv.length > 0) return argv;
    const name = this.#facts.get(pid)?.bearing?.name ?? "";
    return name === "" ? [] : [name];
  }

  commandOf(pid: number): string {
    const words = this.#arguments(pid)?.argv ?? [];
    if (words.length > 0) return words.join(" ").replaceAll(/\p{Cc}+/gu, " ");
    return `[${this.#facts.get(pid)?.bearing?.name ?? "?"}]`;
  }

  /** An empty one was withheld: hardly any process has none. */
  environmentOf(pid: number): readonly string[] | undefined {
    const entries = this.#arguments(pid)?.environment ?? [];
    return entries.length === 0 ? undefined : entries;
  }

  variableOf(pid: number, name: string): string | undefined {
    return this.environmentOf(pid)?.find((entry) => entry.startsWith(`${name}=`));
  }

  /** launchd tells the names of its jobs to launchctl only; `originOf` spares what may be one. */
  serviceOf(): undefined {
    return undefined;
  }

  /** What is not known is assumed, so that it is spared. */
  isMadeToStay(pid: number): boolean {
    const ignored = this.#facts.get(pid)?.bearing?.ignoredSignals;
    return ignored === undefined || ((ignored & hangUpBit) !== 0 && (ignored & terminateBit) === 0);
  }

  /** As above. */
  isTraced(pid: number): boolean {
    return this.#facts.get(pid)?.bearing?.isTraced !== false;
  }

  /** macOS has no namespaces. */
  isElsewhere(): boolean {
    return false;
  }

  userOf(pid: number): number | undefined {
    return this.#facts.get(pid)?.process.uid;
  }

  stdinOf(pid: number): Descriptor | Unreadable | undefined {
    return this.descriptorOf(pid, 0);
  }

  stdoutOf(pid: number): Descriptor | Unreadable | undefined {
    return this.descriptorOf(pid, 1);
  }

  descriptorOf(pid: number, number: number): Descriptor | Unreadable | undefined {
    const held = this.#heldBy(pid);
    if (held === "gone") return undefined;
    return held === "denied" ? held : held.find((each) => each.number === number);
  }

  descriptorsOf(pid: number): Descriptor[] | Unreadable {
    const held = this.#heldBy(pid);
    return typeof held === "string" ? held : [...held];
  }

  readonly #heldBy = once((pid): readonly Held[] | Unreadable => {
    const raw = this.#xnu.descriptors(pid);
    return typeof raw === "string" ? raw : raw.map((each) => this.#describe(each));
  });

  #describe(raw: XnuDescriptor): Held {
    const { number } = raw;
    if (raw.kind === "pipe") {
      const inode = this.#handles.pipe(raw.handle, raw.peer);
      return { number, kind: "pipe", inode, target: `pipe ${inode}`, raw };
    }
    if (raw.kind === "socket") {
      const inode = this.#handles.socket(raw.socket.handle);
      this.#sockets.set(inode, raw.socket);
      if (raw.socket.kind === "unix" && raw.socket.peerHasName)
        this.#namedPeers.add(this.#handles.socket(raw.socket.peer));
      return { number, kind: "socket", inode, target: `socket ${inode}`, raw };
    }
    const path = raw.kind === "file" ? raw.path : "";
    const kind = path === "/dev/null" ? "null" : terminalPath.test(path) ? "terminal" : "other";
    return { number, kind, inode: 0, target: path === "" ? "neither a pipe nor a socket" : path, raw };
  }

  #raw(pid: number, number: number): XnuDescriptor | undefined {
    const held = this.#heldBy(pid);
    return typeof held === "string" ? undefined : held.find((each) => each.number === number)?.raw;
  }

  pipeEnds(pid: number, number: number): { readonly reads: boolean; readonly writes: boolean } {
    const raw = this.#raw(pid, number);
    return raw?.kind === "pipe" ? { reads: raw.reads, writes: raw.writes } : nothing;
  }

  /** The kernel takes the peer away at its last close, and marks the end that stays. */
  isPipeAbandoned(pid: number, { number }: Descriptor): boolean | undefined {
    const raw = this.#raw(pid, number);
    if (raw?.kind !== "pipe") return undefined;
    if (raw.peer !== 0n) return false;
    return raw.isAtEnd ? true : undefined;
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

  /** A peer whose holder was not read is known by its name at most, which the near end tells. */
  unixSocket(inode: number): UnixSocket | undefined {
    const socket = this.#sockets.get(inode);
    if (socket?.kind === "unix") {
      const { isStream, isListening, hasName, isShut } = socket;
      return { inode, peer: this.#handles.socket(socket.peer), isStream, isListening, hasName, isShut };
    }
    if (!this.#namedPeers.has(inode)) return undefined;
    return { inode, peer: 0, isStream: true, isListening: false, hasName: true, isShut: false };
  }

  tcpSocketsOf(pid: number): ReadonlyMap<number, TcpSocket> {
    const held = this.#heldBy(pid);
    const found = new Map<number, TcpSocket>();
    for (const { raw, inode } of typeof held === "string" ? [] : held) {
      if (raw.kind !== "socket" || raw.socket.kind !== "tcp") continue;
      const { state, local, localPort, remote, remotePort } = raw.socket;
      found.set(inode, { inode, state, local, localPort, remote, remotePort });
    }
    return found;
  }

  ownTcpSockets(): TcpSocket[] {
    const found = new Map<number, TcpSocket>();
    for (const pid of this.processes.keys())
      for (const [inode, socket] of this.tcpSocketsOf(pid)) found.set(inode, socket);
    return [...found.values()];
  }

  socketHolders(inode: number): number[] {
    return (this.#everybody().holders.get(inode) ?? []).map(({ pid }) => pid);
  }

  pipeHolders(inode: number, end: "read" | "write"): number[] {
    const holders = this.#everybody().holders.get(inode) ?? [];
    return holders
      .filter(({ pid, number }) => this.pipeEnds(pid, number)[end === "read" ? "reads" : "writes"])
      .map(({ pid }) => pid);
  }

  get unreadable(): ReadonlySet<number> {
    return this.#everybody().unread;
  }

  /** The expensive part, a walk over every descriptor of the machine: on demand only. */
  #everybody(): Machine {
    if (this.#machine !== undefined) return this.#machine;
    const holders = new Map<number, { pid: number; number: number }[]>();
    const unread = new Set(this.#undescribed);
    for (const pid of this.processes.keys()) {
      const held = this.#heldBy(pid);
      if (held === "denied") unread.add(pid);
      for (const { kind, inode, number } of typeof held === "string" ? [] : held) {
        if (kind !== "socket" && kind !== "pipe") continue;
        const known = holders.get(inode);
        if (known === undefined) holders.set(inode, [{ pid, number }]);
        else known.push({ pid, number });
      }
    }
    this.#machine = { holders, unread };
    return this.#machine;
  }
}
