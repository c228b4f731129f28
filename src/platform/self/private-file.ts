/** Reads and writes files that hold a secret or control access; each must be private to its user. */
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { systemRandom } from "../../random.ts";
import { HoldfastError } from "../../errors.ts";

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
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ELOOP") throw cause;
    throw exposed(path, "is a symbolic link", "put the file itself there", cause);
  }
  try {
    const info = fstatSync(descriptor);
    if (!info.isFile()) throw exposed(path, "is not a plain file", "remove it");
    if (process.getuid !== undefined && info.uid !== process.getuid())
      throw exposed(path, "belongs to another user", "chown it to the user that runs Holdfast, or remove it");
    if ((info.mode & 0o077) !== 0)
      throw exposed(path, "can be read by others", "chmod 600 it; if it was a secret, replace it");
    if (info.size > sizeMax) throw exposed(path, "is far too large", "remove it");
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}

function exposed(path: string, problem: string, remedy: string, cause?: unknown): HoldfastError {
  return new HoldfastError("file_exposed", `${path} ${problem} (${remedy})`, { cause });
}

/** Replaces a file atomically, readable by its user only. */
export function writePrivate(path: string, text: string): void {
  const fresh = freshName(path);
  try {
    writeFileSync(fresh, text, { mode: 0o600, flag: "wx" });
    renameSync(fresh, path);
  } catch (thrown) {
    // A full disk leaves a partial file.
    rmSync(fresh, { force: true });
    throw thrown;
  }
}

/** Creates a file atomically, readable by its user only; false when the name exists. */
export function createPrivate(path: string, text: string): boolean {
  const fresh = freshName(path);
  try {
    writeFileSync(fresh, text, { mode: 0o600, flag: "wx" });
    linkSync(fresh, path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw thrown;
  } finally {
    rmSync(fresh, { force: true });
  }
}

function freshName(path: string): string {
  return `${path}.${process.pid}-${systemRandom.bytes(4).toString("hex")}`;
}
