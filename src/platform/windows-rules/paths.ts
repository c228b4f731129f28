/** Paths as Windows reads them. Nothing here asks a system. */
import { win32 } from "node:path";
import { foldName } from "./environment.ts";

/** From a drive or a share on: `\name` is below whichever drive is the current one. */
export function isFullPath(path: string): boolean {
  return /^(?:[a-z]:[\\/]|[\\/]{2}[^\\/])/i.test(path);
}

const folded = (path: string): string => foldName(win32.normalize(path)).replace(/\\$/, "");

/** Whether both name one file, whatever their case. Links count as they are written. */
export function isSamePath(path: string, other: string): boolean {
  return folded(path) === folded(other);
}

/** Whether a full path is the directory or below it, whatever the case of both. */
export function isInDirectory(path: string, directory: string): boolean {
  return isSamePath(path, directory) || folded(path).startsWith(`${folded(directory)}\\`);
}
