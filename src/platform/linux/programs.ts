/**
 * Five programs of 250 to 550 bytes, written out at run time, for what a shell cannot do and a Node start (40 ms, 40 MB)
 * is too expensive for.
 *
 * executor: becomes the command that a descriptor describes (machine-code-executor.ts).
 *
 * launcher: prctl(PR_SET_CHILD_SUBREAPER = 36, 1); every signal to its default (Node leaves SIGPIPE ignored, a shell leaves
 * SIGINT ignored in what it starts in the background); execve(argv[1], argv + 1, environment); exit 126 or 127.
 *
 * joiner: its child is born in the cgroup argv[1] and becomes argv[2] with the rest. It stays itself, outside, deaf and
 * without any descriptor, and ends as the child ended: by the same code or signal. A process that moves itself instead
 * waits for a grace period of the kernel's (7 to 20 ms, where a birth costs 0.4); that is done where clone3 is refused,
 * as under some seccomp filters, and then it becomes the command. Exit 125 when it could not join: nothing was started.
 *
 * pump: copies stdin to descriptor 3 and back to stdout (machine-code-pump.ts).
 *
 * sentinel: sleeps until descriptor 9 or 5 is readable (a pidfd is, when its process ends); for 9 it writes "gone\n" to
 * descriptor 8, for 5 it writes "1" to descriptor 3, where that is open: the cgroup.kill of what is to end then; and it
 * removes the directory argv[1], which is that cgroup, as soon as the kernel lets it (10 s at most).
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
import { homeDirectory } from "../../home-directory.ts";
import { makeDirectory } from "../../make-directory.ts";
import { inheritDescriptor, memoryFile } from "./ffi.ts";
import { machineCode, type ProgramName } from "./machine-code.ts";

function codeOf(arch: string, name: ProgramName): Buffer | undefined {
  const target = machineCode[arch];
  if (target === undefined) return undefined;
  const bytes = Buffer.from(target.programs[name].replaceAll(" ", ""), "hex");
  return target.machine === 62 ? bytes : bytes.swap32();
}

/** One ELF header, one segment that is the whole file, then the code. */
function assemble(machine: number, code: Buffer): Buffer {
  const headerBytes = 64 + 56;
  const base = 0x400000n;
  const size = BigInt(headerBytes + code.length);
  const header = Buffer.alloc(headerBytes);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16); // an executable
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(base + BigInt(headerBytes), 24); // entry
  header.writeBigUInt64LE(64n, 32); // program headers follow at once
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64); // load …
  header.writeUInt32LE(5, 68); // … to read and run
  header.writeBigUInt64LE(base, 80);
  header.writeBigUInt64LE(base, 88);
  header.writeBigUInt64LE(size, 96);
  header.writeBigUInt64LE(size, 104);
  header.writeBigUInt64LE(65536n, 112);
  return Buffer.concat([header, code]);
}

/** The program for an architecture as `process.arch` names it, or undefined where none is written. */
export function programImage(arch: string, name: ProgramName): Buffer | undefined {
  const code = codeOf(arch, name);
  return code === undefined ? undefined : assemble(machineCode[arch]?.machine ?? 0, code);
}

/** A private directory of this user, outside any state directory: the programs are written once and found by every host. */
export function programDirectory(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homeDirectory(), ".cache"), "holdfast", "bin");
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
