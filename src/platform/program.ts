/** Finds the file of a command as the system would. */
import { accessSync, constants, statSync, type Stats } from "node:fs";
import { basename, delimiter, isAbsolute, join, resolve } from "node:path";
import { findCommand } from "./windows-rules/command.ts";

/** Of a system without a PATH variable. */
export const pathDefault = process.platform === "win32" ? "" : "/usr/bin:/bin";

/** Whether npm installs programs as links to their files, by which they can be found; on Windows it writes batch files. */
export const areProgramsLinked: boolean = process.platform !== "win32";

/** Along `path` for a bare name, else from `cwd`; undefined if no candidate is executable. */
export function findProgram(command: string, cwd: string, path: string): string | undefined {
  if (process.platform === "win32") {
    const variables = { PATH: path, PATHEXT: process.env["PATHEXT"] };
    return findCommand(command, { cwd: resolve(cwd), variables });
  }
  const candidates = command.includes("/")
    ? [isAbsolute(command) ? command : join(cwd, command)]
    : path.split(delimiter).map((directory) => join(directory === "" ? cwd : directory, command));
  return candidates.find((file) => {
    const found = look(file);
    return found?.isFile() === true && mayRun(file, found);
  });
}

function look(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined; // missing, or not visible to us
  }
}

function mayRun(file: string, { mode, uid, gid }: Stats): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // The call ignores this process's capabilities, which may have granted access and will also apply to its child.
    const groups = [process.getegid?.(), ...(process.getgroups?.() ?? [])];
    const bit = uid === process.geteuid?.() ? 0o100 : groups.includes(gid) ? 0o010 : 0o001;
    return (mode & bit) !== 0;
  }
}

/** A program's name without its directory; on Windows also without its extension, and in small letters. */
export function programName(command: string): string {
  if (process.platform !== "win32") return basename(command);
  return basename(command)
    .toLowerCase()
    .replace(/\.(?:exe|com|cmd|bat)$/, "");
}

/** Undefined if a shell would find and run the program, else the shell's exit code and message. */
export function programProblem(command: string, path: string): { code: 126 | 127; problem: string } | undefined {
  if (process.platform === "win32") {
    if (findProgram(command, process.cwd(), path) !== undefined) return undefined;
    return { code: 127, problem: `${command}: command not found` };
  }
  // The original bytes are lost here, so the guard reports a missing program.
  if (`${command}${path}`.includes("\uFFFD")) return undefined;
  const candidates = command.includes("/")
    ? [command]
    : path.split(delimiter).map((directory) => join(directory || ".", command));
  let found = false;
  for (const file of candidates) {
    let info;
    try {
      info = statSync(file, { throwIfNoEntry: false });
    } catch {
      // unsearchable directory: a shell tries the next one
      found ||= command.includes("/");
      continue;
    }
    if (info === undefined) continue;
    found = true;
    if (!info.isFile()) continue;
    try {
      accessSync(file, constants.X_OK);
      return undefined;
    } catch {
      // not executable by us: another directory of PATH may have it
    }
  }
  if (found) return { code: 126, problem: `${command}: cannot be run (permission denied, or a directory)` };
  return { code: 127, problem: `${command}: command not found` };
}
