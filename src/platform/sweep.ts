/** Ends everything that one owner's earlier epochs left anywhere: guards with their trees, then marked processes. */
import { areGone, findMarked, isProvenEmpty, killAll, type System } from "./ending.ts";
import { guardVariable } from "./marker.ts";
import { isAlive, type LeftProcess, type ProcessInfo, type Swept } from "./types.ts";
import { untilTrue } from "./wait.ts";

/** Of a command line, in a record. */
const commandCharsMax = 120;

interface Seen {
  info: ProcessInfo;
  run: string;
}

/** The processes seen by a sweep, and their fate. */
export class Sightings {
  readonly #system: Pick<System, "processes">;
  readonly #seen = new Map<string, LeftProcess>();

  constructor(system: Pick<System, "processes">) {
    this.#system = system;
  }

  add({ pid, startTime, bootId, state }: ProcessInfo, run: string | null): void {
    const command = this.#system.processes.command(pid).slice(0, commandCharsMax);
    this.#seen.set(`${pid} ${startTime}`, { pid, startTime, bootId, run, state, command });
  }

  addAll(found: readonly Seen[]): void {
    for (const { info, run } of found) this.add(info, run);
  }

  /** Takes a last look: the ended and the surviving processes. */
  part(): Swept {
    const ended: LeftProcess[] = [];
    const left: LeftProcess[] = [];
    for (const one of this.#seen.values()) {
      const now = this.#system.processes.read(one.pid);
      if (isAlive(now) && now.startTime === one.startTime) left.push({ ...one, state: now.state });
      else ended.push(one);
    }
    return { ended, left };
  }
}

/** Guards and their helpers of this owner whose run is not spared. */
function foreignGuards({ processes }: System, ownerId: string, isSpared: (runId: string) => boolean): Seen[] {
  const needle = `${guardVariable}=${ownerId}/`;
  const found: Seen[] = [];
  for (const pid of processes.pids()) {
    const entry = (processes.environment(pid)?.split("\0") ?? []).find((each) => each.startsWith(needle));
    const run = entry?.slice(needle.length);
    if (run === undefined || isSpared(run)) continue;
    const info = processes.read(pid);
    if (isAlive(info)) found.push({ info, run });
  }
  return found;
}

/** Ends everything of `ownerId` except runs claimed by `isSpared`, as far as time allows. Never rejects. */
export async function sweepOwner(
  system: System,
  ownerId: string,
  isSpared: (runId: string) => boolean,
  boundMs: number,
): Promise<Swept> {
  const { clock, processes } = system;
  const seen = new Sightings(system);
  const deadline = clock.monotonic() + boundMs;
  const guards = foreignGuards(system, ownerId, isSpared);
  const guardPids = new Set(guards.map(({ info }) => info.pid));
  const trees = () =>
    guards.flatMap(({ info: { pid }, run }) =>
      processes
        .descendants(pid, guardPids)
        .filter(isAlive)
        .map((info) => ({ info, run })),
    );
  const isGuardEmpty = ({ info: { pid } }: Seen) =>
    isProvenEmpty(system, () => processes.children(pid).filter((child) => !guardPids.has(child)));
  const isEmpty = () => guards.every(isGuardEmpty);
  seen.addAll(trees());
  // The guards go last: while they live, the kernel reparents their orphans to them.
  while (!isEmpty() && clock.monotonic() < deadline) {
    killAll(system, () => trees().map(({ info }) => info));
    await untilTrue(isEmpty, 20, clock);
  }
  seen.addAll(trees());
  // A guard with a populated tree stays: it ties the rest to this owner.
  for (const guard of guards) if (isGuardEmpty(guard)) system.signal(guard.info, "SIGKILL");
  const strays = () =>
    [...findMarked(system, ownerId)].flatMap(([run, members]) =>
      isSpared(run) ? [] : members.map((info) => ({ info, run })),
    );
  seen.addAll(strays());
  while (strays().length > 0 && clock.monotonic() < deadline) {
    killAll(system, () => strays().map(({ info }) => info));
    await untilTrue(() => strays().length === 0, 50, clock);
  }
  seen.addAll(strays());
  return seen.part();
}

/** Ends marked processes of runs claimed by `isStray`. Every look scans again. */
export async function endStrays(
  system: System,
  scan: () => Promise<Map<string, ProcessInfo[]>>,
  isStray: (runId: string) => boolean,
  boundMs: number,
): Promise<Swept> {
  const { clock } = system;
  const seen = new Sightings(system);
  const deadline = clock.monotonic() + boundMs;
  for (;;) {
    const strays = [...(await scan())].filter(([run]) => isStray(run));
    for (const [run, members] of strays) seen.addAll(members.map((info) => ({ info, run })));
    const living = strays.flatMap(([, members]) => members);
    if (living.length === 0 || clock.monotonic() >= deadline) return seen.part();
    killAll(system, () => living);
    await untilTrue(() => areGone(system, living), 20, clock);
  }
}
