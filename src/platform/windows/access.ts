/** What other users may do with a file on Windows: its access control list says it. */
import type { Stats } from "node:fs";
import type { Access, Others } from "../types.ts";
import { othersAccessIn } from "./acl.ts";
import { descriptorOf, makePrivate, ownUser } from "./security.ts";

/**
 * A process that may load no addon, as a front, cannot ask and gets "none": its files lie in the state directory, which its
 * keeper has asked about. Administrators do not count: they can read everything.
 */
export function othersAccess(path: string, _stats: Pick<Stats, "mode">, _others: Others): Access {
  return process.permission === undefined ? listedAccess(path) : "none";
}

function listedAccess(path: string): Access {
  const descriptor = descriptorOf(path);
  // A file system without lists, such as FAT, is open to all.
  return descriptor === undefined ? "write" : othersAccessIn(descriptor, ownUser());
}

/** Makes a directory and what will be in it private to this user, unless it is. Throws when the file system refuses. */
export function keepPrivate(directory: string): void {
  if (listedAccess(directory) === "none") return;
  if (!makePrivate(directory) || listedAccess(directory) !== "none")
    throw new Error("others can use it, and it cannot be made private");
}

/** What a person can do about a file that others can read. */
export function privateRemedy(path: string, mode: 600 | 700 = 600): string {
  const grant = mode === 700 ? "(OI)(CI)F" : "F";
  return `icacls "${path}" /inheritance:r /grant:r "%USERNAME%:${grant}"`;
}

/** Whether a file that is open somewhere cannot be renamed or replaced. */
export const looksBlockRename = true as boolean;
