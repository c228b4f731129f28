/**
 * Five programs of 240 to 550 bytes, written out at run time, for what a shell cannot do and a Node start (40 ms, 40 MB)
 * is too expensive for. Their sources, with what each of them does, are in programs/.
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

/** The program for an architecture as `process.arch` names it, or undefined where none is written. */
export function programImage(arch: string, name: ProgramName): Buffer | undefined {
  const image = images[arch]?.[name];
  return image === undefined ? undefined : Buffer.from(image, "base64");
}

/** A private directory of this user, outside any state directory: the programs are written once and found by every host. */
export function programDirectory(): string {
  return join(cacheDirectory(), "bin");
}

/** Programs that no directory would take, by directory and name: descriptors that stay open as long as this process. */
const inMemory = new Map<string, string>();

/**
 * Returns a path under which the program can be run: in `directory` (written there once), else in the user's runtime
 * directory, else in memory, where it exists as long as this process. So no home that can be written to, or executed
 * from, is needed.
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
      // Missing, read-only, full, noexec or somebody else's: the next place is tried.
    }
  }
  const descriptor = memoryFile(`holdfast-${name}`, "program");
  writeSync(descriptor, image);
  const path = `/proc/${process.pid}/fd/${descriptor}`;
  inMemory.set(key, path);
  return path;
}

/** Lets the programs in memory be found after this process has become another one. */
export function keepProgramsOverExec(): void {
  for (const path of inMemory.values()) inheritDescriptor(Number(basename(path)));
}

/** The path of the program in this directory. Throws when it cannot be written there, or not be run from there. */
function placeProgram(directory: string, name: ProgramName, image: Buffer): string {
  const path = join(directory, name);
  if (!isOursAlone(directory)) makeDirectory(directory);
  if (!isOursAlone(directory)) throw new Error(`others can write to ${directory}`);
  if (!holds(path, image)) {
    // Written beside and renamed: a run that starts meanwhile never sees half a program.
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
  // On a file system that is mounted noexec the kernel says so here.
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
