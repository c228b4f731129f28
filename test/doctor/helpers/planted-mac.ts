/** A Mac with planted processes, as its kernel would describe them: XNU's rules for parents, pipes and sockets. */
import assert from "node:assert/strict";
import type {
  InspectedXnu,
  XnuArguments,
  XnuBearing,
  XnuDescriptor,
  XnuProcess,
  XnuSocket,
} from "../../../src/platform/darwin/xnu.ts";

interface Plan {
  words: readonly string[];
  /** launchd by default. */
  parent?: number;
  uid?: number;
  environment?: readonly string[];
  bearing?: Partial<XnuBearing>;
  /** Uses the number of an ended process. */
  pid?: number;
}

interface End {
  readonly handle: bigint;
  readonly kind: "reads" | "writes" | "unix";
  other?: End;
  readonly holders: Set<string>;
}

interface Planted extends Pick<Plan, "words" | "environment" | "bearing"> {
  process: XnuProcess;
}

/** The asker's own user. */
const ownUid = 501;
const launchd = 1;

export class PlantedMac implements InspectedXnu {
  readonly signalsExactly = true;
  /** Sees every user's descriptors, as root does. */
  isRoot = false;
  /** Processes about which even kinfo_proc is silent, as in a sandbox. */
  readonly unbearable = new Set<number>();
  /** Listed, but never described. */
  readonly hidden = new Set<number>();
  readonly #planted = new Map<number, Planted>();
  readonly #ends = new Map<string, End>();
  readonly #others = new Map<string, XnuDescriptor>();
  #lastPid = 100;
  #lastId = 100n;
  #nowUs = 1_796_000_000_000_000n;

  constructor() {
    this.start({ words: ["/sbin/launchd"], pid: launchd, uid: 0 });
  }

  start({ words, parent = launchd, uid = ownUid, environment, bearing, pid }: Plan): number {
    this.#lastPid += 1;
    this.#lastId += 1n;
    this.#nowUs += 1_000_000n;
    const number = pid ?? this.#lastPid;
    assert.ok(!this.#planted.has(number), "the number is free");
    const process: XnuProcess = {
      pid: number,
      ppid: number === launchd ? 0 : parent,
      uniqueId: this.#lastId,
      parentUniqueId: this.#planted.get(parent)?.process.uniqueId ?? 0n,
      pidVersion: Number(this.#lastId),
      group: number,
      uid,
      state: "sleeping",
      startedAtUs: this.#nowUs,
      rssBytes: 4096,
      cpuMs: 1,
    };
    this.#planted.set(number, { words, process, ...(environment && { environment }), ...(bearing && { bearing }) });
    return number;
  }

  /** Its children go to launchd, and its descriptors are closed. */
  end(pid: number): void {
    this.#planted.delete(pid);
    for (const one of this.#planted.values())
      if (one.process.ppid === pid) one.process = { ...one.process, ppid: launchd };
    for (const [place, end] of this.#ends) {
      if (!place.startsWith(`${pid} `)) continue;
      this.#ends.delete(place);
      end.holders.delete(place);
    }
    for (const place of this.#others.keys()) if (place.startsWith(`${pid} `)) this.#others.delete(place);
  }

  /** Another program: the parent of this moment becomes the one that forked it. */
  exec(pid: number): void {
    const one = this.#planted.get(pid) ?? assert.fail();
    const parent = this.#planted.get(one.process.ppid) ?? assert.fail();
    one.process = { ...one.process, parentUniqueId: parent.process.uniqueId };
  }

  #hold(pid: number, number: number, end: End): void {
    const place = `${pid} ${number}`;
    end.holders.add(place);
    this.#ends.set(place, end);
  }

  /** Hands on a descriptor, as a careless fork does. */
  inherit(from: number, number: number, to: number, as: number): void {
    this.#hold(to, as, this.#ends.get(`${from} ${number}`) ?? assert.fail());
  }

  close(pid: number, number: number): void {
    const place = `${pid} ${number}`;
    this.#ends.get(place)?.holders.delete(place);
    this.#ends.delete(place);
  }

  pipe(reader: [pid: number, number: number], writer: [pid: number, number: number]): void {
    this.#connect(reader, "reads", writer, "writes");
  }

  socketpair(one: [pid: number, number: number], other: [pid: number, number: number]): void {
    this.#connect(one, "unix", other, "unix");
  }

  #connect(one: [number, number], kind: End["kind"], other: [number, number], otherKind: End["kind"]): void {
    this.#lastId += 2n;
    // Handles are hashes: beyond what a number holds, and close together.
    const handle = 0xfeed_face_0000_0000n + this.#lastId;
    const first: End = { handle, kind, holders: new Set() };
    const second: End = { handle: handle + 1n, kind: otherKind, holders: new Set(), other: first };
    first.other = second;
    this.#hold(...one, first);
    this.#hold(...other, second);
  }

  /** How hosts start a server; Node's pipes are socketpairs. */
  serve(host: number, server: number, by: "pipe" | "socketpair" = "socketpair"): void {
    const number = 10 + server;
    if (by === "pipe") {
      this.pipe([server, 0], [host, number]);
      this.pipe([host, number + 1000], [server, 1]);
    } else {
      this.socketpair([server, 0], [host, number]);
      this.socketpair([server, 1], [host, number + 1000]);
    }
  }

  open(pid: number, descriptor: XnuDescriptor): void {
    this.#others.set(`${pid} ${descriptor.number}`, descriptor);
  }

  /** The newest first, as in `allproc`. */
  pids(): number[] {
    return [...this.#planted.keys()].toReversed();
  }

  process(pid: number): XnuProcess | undefined {
    return this.hidden.has(pid) ? undefined : this.#planted.get(pid)?.process;
  }

  session(pid: number): number {
    return this.#planted.has(pid) ? pid : 0;
  }

  #maySee(pid: number): boolean {
    return this.isRoot || this.#planted.get(pid)?.process.uid === ownUid;
  }

  arguments(pid: number): XnuArguments | undefined {
    const one = this.#planted.get(pid);
    return one === undefined || !this.#maySee(pid)
      ? undefined
      : { argv: one.words, environment: one.environment ?? [] };
  }

  bearing(pid: number): XnuBearing | undefined {
    const one = this.#planted.get(pid);
    if (one === undefined || this.unbearable.has(pid)) return undefined;
    const name = (one.words[0] ?? "").split("/").at(-1) ?? "";
    return { name, isTraced: false, isInForeground: false, ignoredSignals: 0, ...one.bearing };
  }

  descriptors(pid: number): readonly XnuDescriptor[] | "denied" | "gone" {
    if (!this.#planted.has(pid)) return "gone";
    if (!this.#maySee(pid)) return "denied";
    const own = ([place]: readonly [string, unknown]) => place.startsWith(`${pid} `);
    const ends = [...this.#ends].filter(own).map(([place, end]) => describeEnd(Number(place.split(" ")[1]), end));
    return [...ends, ...[...this.#others].filter(own).map(([, each]) => each)];
  }

  signal(): boolean {
    return false;
  }

  coalition(): undefined {
    return undefined;
  }

  coalitionTasks(): undefined {
    return undefined;
  }

  bootSession(): string {
    return "planted";
  }
}

function describeEnd(number: number, { handle, kind, other }: End): XnuDescriptor {
  const isLeft = other === undefined || other.holders.size === 0;
  const peer = isLeft ? 0n : other.handle;
  if (kind === "unix") {
    const names = { hasName: false, peerHasName: false };
    return {
      number,
      kind: "socket",
      socket: { kind: "unix", handle, peer, isStream: true, isListening: false, isShut: isLeft, ...names },
    };
  }
  return { number, kind: "pipe", handle, peer, isAtEnd: isLeft, reads: kind === "reads", writes: kind === "writes" };
}

/** A socket that is neither left nor listening, but for what is given. */
export function unixSocket(handle: bigint, given: Partial<Extract<XnuSocket, { kind: "unix" }>> = {}): XnuSocket {
  const names = { hasName: false, peerHasName: false };
  return { kind: "unix", handle, peer: 0n, isStream: true, isListening: false, isShut: false, ...names, ...given };
}

export function tcpSocket(handle: bigint, state: string, localPort: number): XnuSocket {
  const common = { isStream: true, isListening: state === "LISTEN", isShut: false };
  return { kind: "tcp", handle, state, local: "127.0.0.1", localPort, remote: "10.0.0.1", remotePort: 443, ...common };
}
