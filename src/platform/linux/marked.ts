/** Finds the processes that carry a marker. */
import { systemClock } from "../../clock.ts";
import { isAlive, type ProcessInfo } from "../types.ts";
import { markerVariable } from "../marker.ts";
import { allPids, readEnvironment, readProcess } from "./processes.ts";

/** The run id that a process environment names for this owner, or undefined. */
function runIdOf(environment: string, needle: string): string | undefined {
  const at = environment.indexOf(needle);
  if (at === -1) return undefined;
  const start = at + needle.length;
  let end = start;
  while (end < environment.length && environment[end] !== "/" && environment[end] !== "\0") end += 1;
  return environment.slice(start, end);
}

/** Every live process that carries a marker of this owner, by run id. One pass over /proc: about 7 ms for 600 processes. */
export function scanMarkers(ownerId: string): Map<string, ProcessInfo[]> {
  const found = new Map<string, ProcessInfo[]>();
  const needle = `/${ownerId}/`;
  for (const pid of allPids()) {
    const environment = readEnvironment(pid);
    if (environment === undefined || !environment.includes(`${markerVariable}=`)) continue;
    const marker = environment.split("\0").find((entry) => entry.startsWith(`${markerVariable}=`));
    const runId = marker === undefined ? undefined : runIdOf(marker, needle);
    if (runId === undefined) continue;
    const info = readProcess(pid);
    if (!isAlive(info)) continue;
    const members = found.get(runId);
    if (members === undefined) found.set(runId, [info]);
    else members.push(info);
  }
  return found;
}

let pending: { ownerId: string; scan: Promise<Map<string, ProcessInfo[]>> } | undefined;

/**
 * The same, shared: runs that end in the same moment ask once for all. The scan begins after the call, so it never
 * shows an older table than the caller's.
 */
export function scanMarkersSoon(ownerId: string): Promise<Map<string, ProcessInfo[]>> {
  if (pending?.ownerId === ownerId) return pending.scan;
  const scan = new Promise<Map<string, ProcessInfo[]>>((resolve) => {
    systemClock.soon(() => {
      pending = undefined;
      resolve(scanMarkers(ownerId));
    });
  });
  pending = { ownerId, scan };
  return scan;
}
