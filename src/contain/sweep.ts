/** Ends what earlier epochs of one owner left behind, wherever it stands: guards with their trees, then what is marked. */
import { scanMarkers } from "./marker.ts";
import { allPids, childrenOf, commandOf, descendantsOf, isAlive, isProvenEmpty } from "./processes.ts";
import { readEnvironment, readProcess, type ProcessInfo } from "./processes.ts";
import { killAll, signalProcess } from "./signals.ts";
import { guardVariable } from "./subreaper.ts";
import { untilTrue } from "./wait.ts";

/** Guards and watchers of this owner whose run is not in `spare`. */
function foreignGuards(ownerId: string, isSpared: (runId: string) => boolean): ProcessInfo[] {
  const needle = `${guardVariable}=${ownerId}/`;
  const found: ProcessInfo[] = [];
  for (const pid of allPids()) {
    const entry = readEnvironment(pid)
      ?.split("\0")
      .find((each) => each.startsWith(needle));
    if (entry === undefined || isSpared(entry.slice(needle.length))) continue;
    const info = readProcess(pid);
    if (isAlive(info)) found.push(info);
  }
  return found;
}

function describe(info: ProcessInfo, runId: string): string {
  return `ended pid ${info.pid} of run ${runId}: ${commandOf(info.pid).slice(0, 120)}`;
}

/**
 * Ends everything of `ownerId` whose run id `isSpared` does not claim. Says what it ended, and what it could not end
 * within `boundMs`.
 */
export async function sweepOwner(
  ownerId: string,
  isSpared: (runId: string) => boolean,
  boundMs: number,
): Promise<string[]> {
  const words: string[] = [];
  const deadline = performance.now() + boundMs;
  const guards = foreignGuards(ownerId, isSpared);
  const guardPids = new Set(guards.map((guard) => guard.pid));
  const trees = () => guards.flatMap((guard) => descendantsOf(guard.pid, guardPids)).filter(isAlive);
  const isEmpty = () =>
    guards.every(({ pid }) => isProvenEmpty(() => childrenOf(pid).filter((child) => !guardPids.has(child))));
  for (const info of trees()) words.push(describe(info, "of a guard without keeper"));
  // The guards go last: as long as they live, the kernel hands them what their trees drop.
  while (!isEmpty() && performance.now() < deadline) {
    killAll(trees);
    await untilTrue(isEmpty, 20);
  }
  for (const guard of guards) signalProcess(guard, "SIGKILL");
  const marked = () => [...scanMarkers(ownerId)].filter(([runId]) => !isSpared(runId));
  for (const [runId, members] of marked()) for (const info of members) words.push(describe(info, runId));
  const strays = () => marked().flatMap(([, members]) => members);
  while (strays().length > 0 && performance.now() < deadline) {
    killAll(strays);
    await untilTrue(() => strays().length === 0, 50);
  }
  for (const info of [...trees(), ...strays()]) words.push(`could not end pid ${info.pid} (state ${info.state})`);
  return words;
}
