/** Reads and writes files that hold a secret or control access; each must be private to its user. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { systemRandom } from "../../random.ts";
import { HoldfastError } from "../../errors.ts";
import { replaceByRename } from "../../rename.ts";
import { othersAccess, privateRemedy } from "../access.ts";

/** Far above any file read here, in bytes. */
const sizeMax = 1024 * 1024;

/**
 * Throws `file_exposed`, with the remedy, for a link, for anything but a plain file, and for a file that another user owns, can
 * read or can write; passes on the error of `open`, for example for a missing file. All checks use the open file, which cannot
 * be swapped between check and read.
 */
export function readPrivateFile(path: string): string {
  let descriptor: number;
  try {
    // Without O_NONBLOCK a pipe under this name would block us indefinitely.
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ELOOP") throw cause;
    throw exposed(path, "is a symbolic link", "put the file itself there", cause);
  }
  try {
    const info = fstatSync(descriptor);
    // Where open follows links.
    if (constants.O_NOFOLLOW === undefined && lstatSync(path).isSymbolicLink())
      throw exposed(path, "is a symbolic link", "put the file itself there");
    if (!info.isFile()) throw exposed(path, "is not a plain file", "remove it");
    if (process.getuid !== undefined && info.uid !== process.getuid())
      throw exposed(path, "belongs to another user", "chown it to the user that runs Holdfast, or remove it");
    if (othersAccess(path, info, { group: true }) !== "none")
      throw exposed(path, "can be read by others", `${privateRemedy(path)}; if it was a secret, replace it`);
    if (info.size > sizeMax) throw exposed(path, "is far too large", "remove it");
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}

function exposed(path: string, problem: string, remedy: string, cause?: unknown): HoldfastError {
  return new HoldfastError("file_exposed", `${path} ${problem} (${remedy})`, { cause });
}

/**
 * Replaces a file atomically, readable by its user only. A power failure may leave it empty: for what is worth nothing after
 * one, or is made anew.
 */
export function writePrivate(path: string, text: string): void {
  replace(path, text, false);
}

/** The same for what must survive a power failure: after it the file has the old or the new text, whole. */
export function writeDurable(path: string, text: string): void {
  replace(path, text, true);
  syncDirectory(path);
}

function replace(path: string, text: string, synced: boolean): void {
  const fresh = freshName(path);
  try {
    writeFresh(fresh, text, synced);
    replaceByRename(fresh, path);
  } catch (thrown) {
    // A full disk leaves a partial file.
    rmSync(fresh, { force: true });
    throw thrown;
  }
}

/** Creates a file atomically and durably, readable by its user only; false when the name exists. */
export function createPrivate(path: string, text: string): boolean {
  const fresh = freshName(path);
  try {
    writeFresh(fresh, text, true);
    linkSync(fresh, path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw thrown;
  } finally {
    rmSync(fresh, { force: true });
  }
  syncDirectory(path);
  return true;
}

/** Each write of a synced file is on the disk when it returns: the front may write, but Node's permission model denies it fsync. */
function writeFresh(fresh: string, text: string, synced: boolean): void {
  const { O_CREAT, O_EXCL, O_WRONLY, O_SYNC } = constants;
  const descriptor = openSync(fresh, O_CREAT | O_EXCL | O_WRONLY | (synced ? O_SYNC : 0), 0o600);
  try {
    writeFileSync(descriptor, text);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the new name durable. */
function syncDirectory(path: string): void {
  try {
    const descriptor = openSync(dirname(path), "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // Not every file system syncs directories, and a front may not; the text itself is on the disk.
  }
}

function freshName(path: string): string {
  return `${path}.${process.pid}-${systemRandom.bytes(4).toString("hex")}`;
}
