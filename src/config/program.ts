/** Finds the file of a command as the system would. */
import { accessSync, constants, statSync, type Stats } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

/** Along `path` for a bare name, else from `cwd`; undefined if no candidate is executable. */
export function findProgram(command: string, cwd: string, path: string): string | undefined {
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
