/** What other users may do with a file: its mode on Unix, its access control list on Windows. */
import { chmodSync, type Stats } from "node:fs";
import { othersAccessIn, type Access } from "./windows/acl.ts";
import { descriptorOf, makePrivate, ownUser } from "./windows/security.ts";

/** `group` users of the file's Unix group count as well, on Windows every other user counts always. */
export interface Others {
  readonly group: boolean;
}

/**
 * What others may do with the file of these `stats`. On Windows a process that may load no addon, as a front, cannot ask and
 * gets "none": its files lie in the state directory, which its keeper has asked about. Administrators do not count: they can
 * read everything.
 */
export function othersAccess(path: string, { mode }: Pick<Stats, "mode">, { group }: Others): Access {
  if (process.platform === "win32") return process.permission === undefined ? listedAccess(path) : "none";
  const bits = mode & (group ? 0o077 : 0o007);
  if ((bits & 0o022) !== 0) return "write";
  return bits === 0 ? "none" : "read";
}

function listedAccess(path: string): Access {
  const descriptor = descriptorOf(path);
  // A file system without lists, such as FAT, is open to all.
  return descriptor === undefined ? "write" : othersAccessIn(descriptor, ownUser());
}

/** Makes a directory and what will be in it private to this user, unless it is. Throws when the file system refuses. */
export function keepPrivate(directory: string): void {
  if (process.platform !== "win32") return chmodSync(directory, 0o700);
  if (listedAccess(directory) === "none") return;
  if (!makePrivate(directory) || listedAccess(directory) !== "none")
    throw new Error("others can use it, and it cannot be made private");
}

/** What a person can do about it. */
export function privateRemedy(path: string, mode: 600 | 700 = 600): string {
  if (process.platform !== "win32") return `chmod ${mode} it`;
  const grant = mode === 700 ? "(OI)(CI)F" : "F";
  return `icacls "${path}" /inheritance:r /grant:r "%USERNAME%:${grant}"`;
}

/** Whether a file that is open somewhere cannot be renamed or replaced. */
export const looksBlockRename = process.platform === "win32";
