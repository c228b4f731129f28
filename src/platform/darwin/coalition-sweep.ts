/** Ends jobs of launchd by name, with all that is in their coalitions: for sweeps, and for the guardian. */
import { findMarked } from "../ending.ts";
import { Sightings, endStrays } from "../sweep.ts";
import type { ProcessInfo, ProcessRef, Swept } from "../types.ts";
import { endCoalition, isForeign, membersOf, type CoalitionParts } from "./coalition-tree.ts";
import { runIdPrefix } from "../marker.ts";
import { guardianName, isGuardianName, labelOf, labelPrefix } from "./job.ts";

/** For one attempt of a guardian, which is started again for the next. */
const guardianMs = 30_000;

/** A job that was found, by launchd or by its place. */
interface Found {
  readonly name: string;
  /** Where launchd has it loaded. */
  readonly targets: readonly string[];
}

async function findJobs(parts: CoalitionParts, ownerId: string, isMeant: (name: string) => boolean): Promise<Found[]> {
  const prefix = labelPrefix(ownerId);
  const targets = await parts.launchd.targets(prefix);
  const byName = new Map<string, string[]>(parts.files.names().map((name) => [name, []]));
  for (const target of targets) {
    const name = target.slice(target.lastIndexOf("/") + 1 + prefix.length);
    byName.set(name, [...(byName.get(name) ?? []), target]);
  }
  return [...byName].filter(([name]) => isMeant(name)).map(([name, each]) => ({ name, targets: each }));
}

/** Of a job whose main process may be gone: its own record first, then launchd's word. */
async function coalitionOf(parts: CoalitionParts, { name, targets }: Found): Promise<bigint | undefined> {
  const { files, launchd, xnu } = parts;
  const record = files.read(name);
  if (record !== undefined) return record.boot === xnu.bootSession() ? record.coalition : undefined;
  for (const target of targets) {
    const job = await launchd.find(target).catch(() => undefined); // what it holds is found by its marker
    const coalition = job?.coalition ?? (job?.pid === undefined ? undefined : xnu.coalition(job.pid));
    if (coalition !== undefined) return coalition;
  }
  return undefined;
}

async function endJob(
  parts: CoalitionParts,
  ownerId: string,
  found: Found,
  seen: Sightings,
  boundMs: number,
): Promise<void> {
  const { launchd, files } = parts;
  const coalition = await coalitionOf(parts, found);
  const isGuardian = isGuardianName(found.name);
  const run = isGuardian ? null : found.name;
  // Launchd would start a guardian again that was killed.
  if (isGuardian) for (const target of found.targets) await launchd.bootout(target);
  let left: ProcessInfo[] = [];
  if (coalition !== undefined && isForeign(parts, coalition)) {
    for (const member of membersOf(parts, coalition)) seen.add(member, run);
    left = await endCoalition(parts, coalition, () => Promise.resolve([]), boundMs);
  }
  if (left.length > 0) return; // it stays on record for the next sweep
  // In this order: a launchctl of the lost keeper may be about to load it, and without a property list that fails.
  files.remove(found.name);
  await launchd.unload(labelOf(ownerId, found.name));
}

/**
 * Ends every job of this owner whose name is meant, and then what carries the marker of such a run elsewhere. Guardians go first:
 * one at work would end the same processes. Never rejects.
 */
export async function sweepJobs(
  parts: CoalitionParts,
  ownerId: string,
  isMeant: (name: string) => boolean,
  boundMs: number,
): Promise<Swept> {
  const { system } = parts;
  const seen = new Sightings(system);
  const deadline = system.clock.monotonic() + boundMs;
  const jobs = await findJobs(parts, ownerId, isMeant);
  const inOrder = [...jobs].sort((a, b) => Number(isGuardianName(b.name)) - Number(isGuardianName(a.name)));
  for (const job of inOrder) await endJob(parts, ownerId, job, seen, Math.max(0, deadline - system.clock.monotonic()));
  const fenced = seen.part();
  const remainingMs = Math.max(0, deadline - system.clock.monotonic());
  const scan = () => Promise.resolve(findMarked(system, ownerId));
  const marked = await endStrays(system, scan, isMeant, remainingMs);
  return { ended: [...fenced.ended, ...marked.ended], left: [...fenced.left, ...marked.left] };
}

/**
 * What a guardian does when its keeper is gone: ends everything of the epoch, the front last, and then its own job. False: something
 * is left, and the job stays, so that launchd starts the guardian again.
 */
export async function sweepEpoch(
  parts: CoalitionParts,
  ownerId: string,
  epoch: number,
  front: Pick<ProcessRef, "pid" | "startTime"> | undefined,
): Promise<boolean> {
  const prefix = runIdPrefix(epoch);
  const { left } = await sweepJobs(parts, ownerId, (name) => name.startsWith(prefix), guardianMs);
  if (front !== undefined) parts.system.signal(front, "SIGKILL");
  if (left.length > 0) return false;
  const name = guardianName(epoch);
  parts.files.remove(name);
  await parts.launchd.unload(labelOf(ownerId, name));
  return true;
}
