/**
 * Which processes belong to a run, where the kernel does not say: remembered over looks, by whom each process was forked, by its
 * session and by its marker. What leaves no trace in any look is lost (test/platform/darwin/losing.test.ts shows how).
 */
import { markedRun } from "../marker.ts";
import type { Xnu, XnuProcess } from "./xnu.ts";

/** All processes, read one after another. */
export interface Snapshot {
  /** By number, those that ended before they were read left out. */
  readonly processes: ReadonlyMap<number, XnuProcess>;
  /** What was alive when the look began. */
  readonly listed: ReadonlySet<number>;
  /** The largest unique id seen: about how many births there have been. */
  readonly births: bigint;
}

export function takeSnapshot(xnu: Xnu): Snapshot {
  const listed = new Set(xnu.pids());
  const processes = new Map<number, XnuProcess>();
  let births = 0n;
  for (const pid of listed) {
    const found = xnu.process(pid);
    if (found === undefined) continue;
    processes.set(pid, found);
    if (found.uniqueId > births) births = found.uniqueId;
  }
  return { processes, listed, births };
}

export interface ChainOptions {
  readonly xnu: Xnu;
  /** Highest process number of the system. */
  readonly pidMax: number;
  /** The owner and run of the marker. */
  readonly ownerId: string;
  readonly runId: string;
}

/** `own`: descends from the command, as the kernel says; `marked`: carries the marker, or descends from such a process. */
type Evidence = "own" | "marked";

interface Member {
  readonly process: XnuProcess;
  readonly evidence: Evidence;
}

export class Chain {
  readonly #options: ChainOptions;
  /** As last seen, by unique id. The ended are kept until a look that began without them: all their children are known then. */
  readonly #members = new Map<bigint, Member>();
  /** Sessions that the run has made, and the unique id from which a process in a session of this number may be another's. */
  readonly #sessions = new Map<number, bigint>();
  /** Versions of processes that were not of this run, by unique id. */
  readonly #strangers = new Map<bigint, number>();
  #firstId: bigint | undefined;
  #last: XnuProcess | undefined;
  #isChanging = false;

  constructor(options: ChainOptions) {
    this.#options = options;
  }

  /** Whether the last look found a process for the first time. */
  get isChanging(): boolean {
    return this.#isChanging;
  }

  /** The member that was seen last, alive or not. */
  get last(): XnuProcess | undefined {
    return this.#last;
  }

  /** A process that is known to be of the run. What is older than the first one is no part of it. */
  add(process: XnuProcess, evidence: Evidence = "own"): void {
    if (evidence === "own" && (this.#firstId === undefined || process.uniqueId < this.#firstId))
      this.#firstId = process.uniqueId;
    this.#strangers.delete(process.uniqueId);
    this.#members.set(process.uniqueId, { process, evidence });
    this.#last = process;
  }

  /** A session that the run has made, although its leader may be gone. `births`: how many there have been at this time. */
  addSession(session: number, births: bigint): void {
    // A number comes back only after all others (forkproc counts up, and spares those of groups and sessions).
    this.#sessions.set(session, births + BigInt(Math.floor(this.#options.pidMax / 2)));
  }

  /** Whether a member that was seen before still lives: cheaper than a look at everything. */
  hasKnownAlive(): boolean {
    const { xnu } = this.#options;
    for (const { process } of this.#members.values()) {
      const now = xnu.process(process.pid);
      if (now !== undefined && now.uniqueId === process.uniqueId && isLive(now)) return true;
    }
    return false;
  }

  /** Looks at everything. Returns the live members, oldest first. */
  look(snapshot = takeSnapshot(this.#options.xnu)): XnuProcess[] {
    const fresh: XnuProcess[] = [];
    for (const process of snapshot.processes.values()) {
      const known = this.#members.get(process.uniqueId);
      if (known !== undefined) this.#see(process, known.evidence, snapshot);
      else if (this.#strangers.get(process.uniqueId) !== process.pidVersion) fresh.push(process);
    }
    this.#isChanging = this.#sort(fresh, snapshot);
    this.#forget(snapshot);
    const isSeen = ({ pid, uniqueId }: XnuProcess) => snapshot.processes.get(pid)?.uniqueId === uniqueId;
    const members = [...this.#members.values()].map(({ process }) => process);
    return members.filter((process) => isLive(process) && isSeen(process)).toSorted(byBirth);
  }

  #see(process: XnuProcess, evidence: Evidence, { births }: Snapshot): void {
    this.#members.set(process.uniqueId, { process, evidence });
    if (isLive(process)) this.#last = process;
    const session = this.#options.xnu.session(process.pid);
    // What a marked process was born into may be the session of a daemon that took over our environment.
    if (session !== 0 && (evidence === "own" || session === process.pid)) this.addSession(session, births);
  }

  /** Tells members from strangers until nothing changes: one process can be told by another. True: there are new members. */
  #sort(fresh: readonly XnuProcess[], snapshot: Snapshot): boolean {
    let unknown = fresh.toSorted(byBirth);
    for (;;) {
      const others = unknown.filter((process) => {
        const evidence = this.#evidenceOf(process);
        if (evidence === undefined) return true;
        this.#see(process, evidence, snapshot);
        return false;
      });
      if (others.length === unknown.length) break;
      unknown = others;
    }
    for (const { uniqueId, pidVersion } of unknown) this.#strangers.set(uniqueId, pidVersion);
    return unknown.length < fresh.length;
  }

  #evidenceOf({ pid, uniqueId, parentUniqueId }: XnuProcess): Evidence | undefined {
    if (this.#firstId !== undefined && uniqueId < this.#firstId) return undefined;
    const { xnu, ownerId, runId } = this.#options;
    if (uniqueId < (this.#sessions.get(xnu.session(pid)) ?? 0n)) return "own";
    const parent = this.#members.get(parentUniqueId);
    if (parent !== undefined) return parent.evidence;
    return markedRun(xnu.arguments(pid)?.environment ?? [], ownerId) === runId ? "marked" : undefined;
  }

  #forget({ processes, listed, births }: Snapshot): void {
    for (const [uniqueId, { process }] of this.#members) {
      const now = processes.get(process.pid);
      const isGone = now === undefined ? !listed.has(process.pid) : now.uniqueId !== uniqueId;
      if (isGone) this.#members.delete(uniqueId);
    }
    const present = new Set([...processes.values()].map(({ uniqueId }) => uniqueId));
    for (const uniqueId of this.#strangers.keys()) if (!present.has(uniqueId)) this.#strangers.delete(uniqueId);
    for (const [session, until] of this.#sessions) if (until < births) this.#sessions.delete(session);
  }
}

const byBirth = (a: XnuProcess, b: XnuProcess): number => Number(a.uniqueId - b.uniqueId);

function isLive({ state }: XnuProcess): boolean {
  return state !== "zombie" && state !== "dead";
}
