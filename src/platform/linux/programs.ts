/**
 * Five programs of 240 to 550 bytes, written at run time, for tasks beyond a shell where a Node start (40 ms, 40 MB) would cost
 * too much. The documented sources are in programs/.
 */
import {
  accessSync,
  chmodSync,
  constants,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import { HoldfastError } from "../../errors.ts";
import { cacheDirectory } from "../places.ts";
import { makeDirectory } from "../../make-directory.ts";
import { images, type ProgramName } from "./programs/images.ts";
import { inheritDescriptor, memoryFile } from "./ffi.ts";

/** The program for a `process.arch` architecture, or undefined without one. */
export function programImage(arch: string, name: ProgramName): Buffer | undefined {
  const image = images[arch]?.[name];
  return image === undefined ? undefined : Buffer.from(image, "base64");
}

/** A private directory of this user, outside any state directory: written once and shared by every host. */
export function programDirectory(): string {
  return join(cacheDirectory(), "bin");
}

/** Programs that fit in no directory, by directory and name: descriptors kept open by this process. */
const inMemory = new Map<string, string>();

/**
 * Returns an executable path of the program: in `directory` (written there once), else in the user's runtime directory, else in
 * memory, for the life of this process. So it works without a writable or executable home.
 */
export function installProgram(directory: string, name: ProgramName): string {
  const image = programImage(process.arch, name);
  if (image === undefined) {
    const message = `no ${name} for ${process.arch}: the subreaper tier is built for x64 and arm64`;
    throw new HoldfastError("unsupported_platform", message);
  }
  const key = join(directory, name);
  const known = inMemory.get(key);
  if (known !== undefined) return known;
  const runtime = process.env["XDG_RUNTIME_DIR"] ?? "";
  const places = isAbsolute(runtime) ? [directory, join(runtime, "holdfast", "bin")] : [directory];
  for (const place of places) {
    try {
      return placeProgram(place, name, image);
    } catch {
      // Missing, read-only, full, noexec or another user's: try the next place.
    }
  }
  const descriptor = memoryFile(`holdfast-${name}`, "program");
  writeSync(descriptor, image);
  const path = `/proc/${process.pid}/fd/${descriptor}`;
  inMemory.set(key, path);
  return path;
}

/** Keeps the programs in memory available after execve. */
export function keepProgramsOverExec(): void {
  for (const path of inMemory.values()) inheritDescriptor(Number(basename(path)));
}

/** Path of the program in this directory. Throws when it cannot be written or executed there. */
function placeProgram(directory: string, name: ProgramName, image: Buffer): string {
  const path = join(directory, name);
  if (!isOursAlone(directory)) makeDirectory(directory);
  if (!isOursAlone(directory)) throw new Error(`others can write to ${directory}`);
  if (!holds(path, image)) {
    // Written aside and renamed: a concurrent start never sees a partial program.
    const fresh = `${path}.${process.pid}`;
    try {
      writeFileSync(fresh, image, { mode: 0o700 });
      chmodSync(fresh, 0o700);
      renameSync(fresh, path);
    } catch (cause) {
      rmSync(fresh, { force: true });
      throw cause;
    }
  }
  // On a noexec file system the kernel reports it here.
  accessSync(path, constants.X_OK);
  return path;
}

function isOursAlone(directory: string): boolean {
  const info = lstatSync(directory, { throwIfNoEntry: false });
  return info?.isDirectory() === true && info.uid === process.geteuid?.() && (info.mode & 0o022) === 0;
}

function holds(path: string, image: Buffer): boolean {
  try {
    return readFileSync(path).equals(image);
  } catch {
    return false; // not there yet
  }
}
