/** Reads and replaces files shared with other programs, atomically and without overwriting their changes. */
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { systemRandom } from "../../random.ts";
import { HoldfastError } from "../../errors.ts";
import { makeDirectory } from "../../make-directory.ts";
import { reasonOf } from "../../plain-reason.ts";
import { replaceByRename } from "../../rename.ts";
import { looksBlockRename } from "../../platform/access.ts";

/** The contents of a file at one moment. */
export interface ReadFile {
  /** The path as given. */
  file: string;
  /** With all symbolic links resolved. */
  target: string;
  text: string;
  bytes: Buffer;
}

/** More than any client writes; the contents are held in memory several times. */
const bytesMax = 64 * 1024 * 1024;

/** Undefined for a missing file. */
export function readIfThere(file: string): ReadFile | undefined {
  return existsSync(file) ? readWhole(file) : undefined;
}

/** Throws `client_config_unreadable` for what is not a regular file, too large, or not UTF-8. */
export function readWhole(file: string): ReadFile {
  const problem = (why: string, cause?: unknown) =>
    new HoldfastError("client_config_unreadable", `cannot read ${file}: ${why}; nothing was changed`, { cause });
  try {
    const target = realpathSync(file);
    const info = statSync(target);
    if (!info.isFile()) throw problem("it is not a regular file");
    if (info.size > bytesMax)
      throw problem(`it has ${info.size} bytes, more than ${bytesMax}: no client's config is that large`);
    const bytes = readFileSync(target);
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return { file, target, text, bytes };
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    if (cause instanceof TypeError) throw problem("it is not UTF-8 text", cause);
    throw problem(reasonOf(cause), cause);
  }
}

function unwritable(file: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError("client_config_unwritable", `cannot write ${file}: ${why}; nothing was changed`, { cause });
}

function changed(file: string): HoldfastError {
  return new HoldfastError(
    "client_config_changed",
    `${file} was changed by another program; its change is kept and ours was not made; try again`,
  );
}

/** Throws what `replaceFile` would throw, as far as can be known, so that several files change together or not at all. */
export function assertReplaceable({ file, target }: ReadFile): void {
  const info = statSync(target, { throwIfNoEntry: false });
  if (info === undefined) throw changed(file);
  // Root can write everything; a missing write bit still means that the file should stay unchanged.
  if ((info.mode & 0o222) === 0) throw unwritable(file, "it is read-only; chmod u+w it first");
  if (info.nlink > 1)
    throw unwritable(file, `it has ${info.nlink} hard links, which replacing it would part; edit it by hand`);
  try {
    accessSync(target, constants.W_OK);
  } catch (cause) {
    throw unwritable(file, "you may not write it", cause);
  }
  try {
    accessSync(dirname(target), constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unwritable(file, `you may not write its directory, ${dirname(target)}`, cause);
  }
}

/**
 * Replaces the file by a rename in its directory, with the old mode and owner; symbolic links stay. Throws
 * `client_config_changed` when the file has changed since it was read. It is compared right before the rename; text that
 * another program writes to the old file in the microseconds between is detected right after, and restored; on Windows it is lost.
 */
export function replaceFile(read: ReadFile, text: string): void {
  const { file, target, bytes } = read;
  assertReplaceable(read);
  let descriptor: number | undefined;
  const fresh = temporaryBeside(target);
  try {
    descriptor = openSync(target, "r");
    const { mode, uid, gid, ino } = fstatSync(descriptor);
    writeDurably(fresh, text, { mode: mode & 0o7777, uid, gid });
    if (statSync(target, { throwIfNoEntry: false })?.ino !== ino || !readFileSync(target).equals(bytes))
      throw changed(file);
    if (looksBlockRename) {
      // The file cannot be replaced while it is open, so the look after the rename is not possible either.
      closeSync(descriptor);
      descriptor = undefined;
    }
    replaceByRename(fresh, target);
    if (descriptor === undefined) return;
    const latest = readFileSync(descriptor);
    if (!latest.equals(bytes)) {
      writeDurably(fresh, latest, { mode: mode & 0o7777, uid, gid });
      replaceByRename(fresh, target);
      throw changed(file);
    }
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw unwritable(file, reasonOf(cause), cause);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
    rmSync(fresh, { force: true });
  }
}

/** Creates a new file, readable only by its user, and its directory. */
export function createFile(file: string, text: string): void {
  const fresh = temporaryBeside(file);
  try {
    makeDirectory(dirname(file));
    writeDurably(fresh, text, { mode: 0o600 });
    linkSync(fresh, file); // unlike a rename, fails if another program has created the file
  } catch (cause) {
    throw unwritable(file, reasonOf(cause), cause);
  } finally {
    rmSync(fresh, { force: true });
  }
}

function temporaryBeside(file: string): string {
  return join(dirname(file), `.holdfast-${systemRandom.bytes(6).toString("hex")}.tmp`);
}

function writeDurably(file: string, data: string | Buffer, owner: { mode: number; uid?: number; gid?: number }): void {
  const descriptor = openSync(file, "wx", 0o600);
  try {
    writeFileSync(descriptor, data);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  const { uid, gid } = statSync(file);
  if (owner.uid !== undefined && owner.gid !== undefined && (uid !== owner.uid || gid !== owner.gid))
    chownSync(file, owner.uid, owner.gid);
  chmodSync(file, owner.mode);
}

/** The backups of a file, newest first: `<file>.holdfast-backup`, then `.2`, `.3` … */
export function backupsOf({ target }: ReadFile): string[] {
  const found: string[] = [];
  for (let number = 1; existsSync(backupName(target, number)); number += 1) found.unshift(backupName(target, number));
  return found;
}

function backupName(target: string, number: number): string {
  return `${target}.holdfast-backup${number === 1 ? "" : `.${number}`}`;
}

/** Copies the contents read to a file beside it, private to the owner; returns the copy's name. */
export function backUp(read: ReadFile): string {
  const name = backupName(read.target, backupsOf(read).length + 1);
  try {
    assertReplaceable(read);
    const { uid, gid } = statSync(read.target);
    writeDurably(name, read.bytes, { mode: 0o600, uid, gid });
    return name;
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw unwritable(read.file, reasonOf(cause), cause);
  }
}
