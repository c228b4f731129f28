/** Makes a directory with its parents, on any file system. */
import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Most missing parents. */
const missingMax = 64;

/**
 * Does nothing when the directory exists. Otherwise throws the system's error. Node's own recursive mkdir never returns
 * where a file system answers "no such file" under an existing parent, as procfs does.
 */
export function makeDirectory(path: string, mode = 0o700): void {
  const missing: string[] = [];
  let at = resolve(path);
  while (!existsOrMake(at, mode)) {
    missing.push(at);
    const parent = dirname(at);
    if (parent === at || missing.length > missingMax) throw notMade(at);
    at = parent;
  }
  for (const directory of missing.toReversed()) if (!existsOrMake(directory, mode)) throw notMade(directory);
}

/** Whether the directory exists now; false when its parent is missing. */
function existsOrMake(path: string, mode: number): boolean {
  const exists = () => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (exists()) return true;
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (cause) {
    if (exists()) return true;
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw cause;
  }
}

function notMade(path: string): Error {
  return new Error(`a directory cannot be made at ${path}: the file system refuses it`);
}
