/** What other users may do with a file on Unix: its mode says it. */
import { chmodSync, type Stats } from "node:fs";
import type { Access, Others } from "../types.ts";

/** What others may do with the file of these `stats`. */
export function othersAccess(_path: string, { mode }: Pick<Stats, "mode">, { group }: Others): Access {
  const bits = mode & (group ? 0o077 : 0o007);
  if ((bits & 0o022) !== 0) return "write";
  return bits === 0 ? "none" : "read";
}

/** Makes a directory private to this user. Throws when the file system refuses. */
export function keepPrivate(directory: string): void {
  chmodSync(directory, 0o700);
}

/** What a person can do about a file that others can read. */
export function privateRemedy(_path: string, mode: 600 | 700 = 600): string {
  return `chmod ${mode} it`;
}

/** Whether a file that is open somewhere cannot be renamed or replaced. */
export const looksBlockRename = false as boolean;
