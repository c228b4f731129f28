/** Whether a process was started by its parent, or re-parented to it. */
import { platform } from "../platform/index.ts";
import { clientOf, isReaper, isRuntime, isSystemd } from "./recognise.ts";
import type { Look, Seen } from "../platform/look.ts";

export type Parentage =
  | { kind: "live"; parent: Seen }
  | { kind: "reparented"; parent: Seen; how: string }
  | { kind: "unknown"; parent: Seen | undefined; why: string };

/** The kernel appends children at birth and at adoption, so one behind a younger sibling was adopted. */
function standsBehindYounger(child: Seen, listed: readonly number[], look: Look): boolean {
  const place = listed.indexOf(child.pid);
  return listed.slice(0, Math.max(place, 0)).some((pid) => {
    const before = look.processes.get(pid);
    return before !== undefined && before.startedAt > child.startedAt;
  });
}

/** Children are born into their parent's session and leave it only for their own. */
function isOfAnotherSession(child: Seen, parent: Seen): boolean {
  return child.session !== child.pid && child.session !== parent.session && child.session !== 0;
}

/** A unit's main process leads a session made by systemd: no owner has died. */
function mayBeUnit(look: Look, child: Seen, parent: Seen): boolean {
  return isSystemd(look.wordsOf(parent.pid)) && child.session === child.pid && look.serviceOf(child.pid) !== undefined;
}

/** `tini -- server`: a reaper that shares its child's stdin. */
function isWrapper(look: Look, child: Seen, parent: Seen): boolean {
  const [own, other] = [look.stdinOf(child.pid), look.stdinOf(parent.pid)];
  if (typeof own !== "object" || typeof other !== "object") return false;
  return (own.kind === "pipe" || own.kind === "socket") && own.target === other.target;
}

export function parentageOf(look: Look, child: Seen): Parentage {
  const parent = look.processes.get(child.ppid);
  if (parent === undefined) {
    const why = child.ppid === 0 ? "its parent cannot be seen from here" : "its parent ended while we looked";
    return { kind: "unknown", parent, why };
  }
  if (parent.startedAt > child.startedAt)
    return { kind: "unknown", parent, why: `pid ${parent.pid} is younger than it and not a known reaper` };
  const words = look.wordsOf(parent.pid);
  const name = `pid ${parent.pid} (${words[0] ?? "?"})`;
  const origin = look.originOf(child.pid);
  if (origin === "forked") return { kind: "live", parent };
  if (origin === "adopted") return { kind: "reparented", parent, how: `handed to ${name}` };
  if (origin === "either") return { kind: "unknown", parent, why: `${name} may have started it` };
  const isInit = parent.pid === 1;
  if (!isInit && !isReaper(words)) return { kind: "live", parent };
  if (isWrapper(look, child, parent)) return { kind: "live", parent };
  if (mayBeUnit(look, child, parent)) {
    return { kind: "unknown", parent, why: `it may be the main process of the unit ${look.serviceOf(child.pid)}` };
  }
  if (clientOf(words) !== undefined) return { kind: "unknown", parent, why: `${name} is an MCP client itself` };
  if (isReaper(words) || !isRuntime(words)) return { kind: "reparented", parent, how: `handed to ${name}` };
  // Process 1 of a container often starts servers itself.
  if (isOfAnotherSession(child, parent))
    return { kind: "reparented", parent, how: `handed to ${name}, which is of another session` };
  if (standsBehindYounger(child, look.childListOf(parent.pid), look))
    return { kind: "reparented", parent, how: `handed to ${name}, after younger children` };
  return { kind: "unknown", parent, why: `${name} may have started it` };
}

/** The owner behind this parent, past the guards of `holdfast run` and gateways. */
export function ownerBehind(look: Look, parent: Seen): Seen {
  let owner = parent;
  while (platform.isHelper(look.wordsOf(owner.pid))) {
    const next = look.processes.get(owner.ppid);
    // An orphaned guard is ending its tree.
    if (next === undefined || parentageOf(look, owner).kind !== "live") return parent;
    owner = next;
  }
  return owner;
}
