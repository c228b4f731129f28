/** Ends what earlier epochs of one owner left behind, wherever it stands: guards with their trees, then what is marked. */
import { systemClock } from "../../clock.ts";
import { guardVariable } from "../marker.ts";
import { isAlive, type LeftProcess, type ProcessInfo, type Swept } from "../types.ts";
import { scanMarkers } from "./marked.ts";
import { allPids, childrenOf, commandOf, descendantsOf, isProvenEmpty } from "./processes.ts";
import { readEnvironment, readProcess } from "./processes.ts";
import { killAll, signalProcess } from "./signals.ts";
import { untilTrue } from "../wait.ts";

export function leftProcess(info: ProcessInfo, run: string | null): LeftProcess {
  const { pid, startTime, bootId, state } = info;
  return { pid, startTime, bootId, run, state, command: commandOf(pid).slice(0, 120) };
}

interface OldGuard extends ProcessInfo {
  run: string;
}

/** Guards and watchers of this owner whose run is not in `spare`. */
function foreignGuards(ownerId: string, isSpared: (runId: string) => boolean): OldGuard[] {
  const needle = `${guardVariable}=${ownerId}/`;
  const found: OldGuard[] = [];
  for (const pid of allPids()) {
    const entry = readEnvironment(pid)
      ?.split("\0")
      .find((each) => each.startsWith(needle));
    const run = entry?.slice(needle.length);
    if (run === undefined || isSpared(run)) continue;
    const info = readProcess(pid);
    if (isAlive(info)) found.push({ ...info, run });
  }
  return found;
}

/** Ends everything of `ownerId` whose run id `isSpared` does not claim, as far as that can be done within `boundMs`. Never rejects. */
export async function sweepOwner(
  ownerId: string,
  isSpared: (runId: string) => boolean,
  boundMs: number,
): Promise<Swept> {
  const seen = new Map<string, LeftProcess>();
  const see = (found: readonly { info: ProcessInfo; run: string }[]) => {
    for (const { info, run } of found) seen.set(`${info.pid} ${info.startTime}`, leftProcess(info, run));
  };
  const deadline = systemClock.monotonic() + boundMs;
  const guards = foreignGuards(ownerId, isSpared);
  const guardPids = new Set(guards.map((guard) => guard.pid));
  const trees = () =>
    guards.flatMap(({ pid, run }) =>
      descendantsOf(pid, guardPids)
        .filter(isAlive)
        .map((info) => ({ info, run })),
    );
  const isEmpty = () =>
    guards.every(({ pid }) => isProvenEmpty(() => childrenOf(pid).filter((child) => !guardPids.has(child))));
  see(trees());
  // The guards go last: as long as they live, the kernel hands them what their trees drop.
  while (!isEmpty() && systemClock.monotonic() < deadline) {
    killAll(() => trees().map(({ info }) => info));
    await untilTrue(isEmpty, 20);
  }
  see(trees());
  // One whose tree is not empty stays: it is what ties the rest to this owner.
  for (const guard of guards)
    if (isProvenEmpty(() => childrenOf(guard.pid).filter((child) => !guardPids.has(child))))
      signalProcess(guard, "SIGKILL");
  const strays = () =>
    [...scanMarkers(ownerId)].flatMap(([run, members]) =>
      isSpared(run) ? [] : members.map((info) => ({ info, run })),
    );
  see(strays());
  while (strays().length > 0 && systemClock.monotonic() < deadline) {
    killAll(() => strays().map(({ info }) => info));
    await untilTrue(() => strays().length === 0, 50);
  }
  see(strays());
  return parted(seen.values());
}

/** By a last look: what was ended, and what lives all the same. */
function parted(seen: Iterable<LeftProcess>): Swept {
  const swept = { ended: [] as LeftProcess[], left: [] as LeftProcess[] };
  for (const one of seen) {
    const now = readProcess(one.pid);
    if (isAlive(now) && now.startTime === one.startTime) swept.left.push({ ...one, state: now.state });
    else swept.ended.push(one);
  }
  return swept;
}

/** Ends what is marked for a run that `isStray` claims. Every look asks `scan` again. */
export async function endStrays(
  scan: () => Promise<Map<string, ProcessInfo[]>>,
  isStray: (runId: string) => boolean,
  boundMs: number,
): Promise<Swept> {
  const seen = new Map<string, LeftProcess>();
  const deadline = systemClock.monotonic() + boundMs;
  for (;;) {
    const strays = [...(await scan())].filter(([run]) => isStray(run));
    for (const [run, processes] of strays)
      for (const info of processes) seen.set(`${info.pid} ${info.startTime}`, leftProcess(info, run));
    const living = strays.flatMap(([, processes]) => processes);
    if (living.length === 0 || systemClock.monotonic() >= deadline) return parted(seen.values());
    killAll(() => living);
    await untilTrue(() => living.every(({ pid }) => !isAlive(readProcess(pid))), 20);
  }
}
