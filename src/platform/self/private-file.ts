/** Reads and writes files that hold a secret, or decide who may come in: their user's alone, or refused. */
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

/** Nothing that is read here comes near this, in bytes. */
const sizeMax = 1024 * 1024;

/**
 * Throws `file_exposed`, with what to do, for a link, for what is no plain file, and for what another user owns, can read
 * or can write; what `open` itself throws when there is no such file. All is asked of the open file: no other one can be put
 * in its place between the question and the read.
 */
export function readPrivateFile(path: string): string {
  let descriptor: number;
  try {
    // Without O_NONBLOCK a pipe under this name would hold us for ever.
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

/** Replaces a file whole, readable by its user only. */
export function writePrivate(path: string, text: string): void {
  const fresh = freshName(path);
  try {
    writeFileSync(fresh, text, { mode: 0o600, flag: "wx" });
    renameSync(fresh, path);
  } catch (thrown) {
    // On a full disk it is there, with a part of it in it.
    rmSync(fresh, { force: true });
    throw thrown;
  }
}

/** Makes a file whole and at once, readable by its user only; false when there is one of that name. */
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
