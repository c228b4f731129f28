/**
 * Two programs of some 250 bytes each, written out at run time, for what a shell cannot do and a Node start (40 ms, 40 MB)
 * is too dear for: become a child subreaper, and sleep until another process ends.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { HoldfastError } from "../errors.ts";

export type ProgramName = "launcher" | "sentinel";

/**
 * launcher: prctl(PR_SET_CHILD_SUBREAPER = 36, 1); every signal to its default (Node leaves SIGPIPE ignored, a shell leaves
 * SIGINT ignored in what it starts in the background); execve(argv[1], argv + 1, environment); exit 126 or 127.
 * sentinel: sleeps until descriptor 9 or 5 is readable (a pidfd is, when its process ends); for 9 it writes "gone\n" to
 * descriptor 8, for 5 it only exits.
 */
const machineCode: Record<string, { machine: number; programs: Record<ProgramName, string> }> = {
  x64: {
    machine: 62,
    programs: {
      launcher: [
        "b89d000000 bf24000000 be01000000 31d2 4531d2 4531c0 0f05", // prctl(36, 1, 0, 0, 0)
        "4889e3 6a00 6a00 6a00 6a00 41bc1f000000", // rbx = rsp; a sigaction of zeros; r12 = 31
        "b80d000000 4489e7 4889e6 31d2 41ba08000000 0f05", // rt_sigaction(r12, zeros, 0, 8)
        "41ffcc 75e6 4889dc", // until r12 is 0; rsp = rbx
        "488b0424 488b7c2410 488d742410 488d54c410", // argc, argv[1], argv + 1, environment
        "b83b000000 0f05", // execve
        "83f8fe bf7e000000 7502 ffc7 b8e7000000 0f05", // exit_group(eax == -ENOENT ? 127 : 126)
      ].join(" "),
      sentinel: [
        "48b80500000001000000 50 b009 50", // struct pollfd { 9, POLLIN }, { 5, POLLIN }
        "b807000000 4889e7 be02000000 baffffffff 0f05 83f8fc 74e7", // poll(…, 2, -1), again on EINTR
        "66837c240e00 7520", // descriptor 5: over all of the next two lines
        "686f6e650a c64424ff67", // "gone\n"
        "b801000000 bf08000000 488d7424ff ba05000000 0f05", // write(8, …, 5)
        "31ff b8e7000000 0f05", // exit_group(0)
      ].join(" "),
    },
  },
  arm64: {
    machine: 183,
    // Words as objdump prints them: the bytes are stored in the other order.
    programs: {
      launcher: [
        "d2800480 d2800021 d2800002 d2800003 d2800004 d28014e8 d4000001", // prctl
        "910003e9 d10083ff a9007fff a9017fff d28003ea", // x9 = sp; zeros; x10 = 31
        "aa0a03e0 910003e1 d2800002 d2800103 d28010c8 d4000001", // rt_sigaction
        "f100054a 54ffff21 9100013f", // until x10 is 0; sp = x9
        "f94003e3 f9400be0 910043e1 8b236fe2 91004042", // argc, argv[1], argv + 1, environment
        "d2801ba8 d4000001", // execve
        "b100081f d2800fc0 54000041 91000400 d2800bc8 d4000001", // exit_group
      ].join(" "),
      sentinel: [
        "d10083ff d2800120 f2c00020 d28000a1 f2c00021 a90007e0", // struct pollfd { 9, POLLIN }, { 5, POLLIN }
        "910003e0 d2800041 d2800002 d2800003 d2800004 d2800928 d4000001 b100101f 54ffff00", // ppoll, again on EINTR
        "79401fe1 35000141", // descriptor 5: over all of the next two lines
        "d28dece0 f2acadc0 f2c00140 f9000be0", // "gone\n"
        "d2800100 910043e1 d28000a2 d2800808 d4000001", // write(8, …, 5)
        "d2800000 d2800bc8 d4000001", // exit_group(0)
      ].join(" "),
    },
  },
};

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
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "holdfast", "bin");
}

/** Writes the program into a directory of ours, once; returns its path. */
export function installProgram(directory: string, name: ProgramName): string {
  const image = programImage(process.arch, name);
  if (image === undefined) {
    const message = `no ${name} for ${process.arch}: the subreaper tier is built for x64 and arm64`;
    throw new HoldfastError("unsupported_platform", message);
  }
  const path = join(directory, name);
  try {
    if (readFileSync(path).equals(image)) return path;
  } catch {
    // not there yet
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // Written beside and renamed: a run that starts meanwhile never sees half a program.
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, image, { mode: 0o700 });
  chmodSync(fresh, 0o700);
  renameSync(fresh, path);
  return path;
}
