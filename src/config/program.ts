/** Which file a command is, as the system would find it. */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

/** Along `path` for a bare name, else from `cwd`; undefined when there is none that may be run. */
export function findProgram(command: string, cwd: string, path: string): string | undefined {
  const candidates = command.includes("/")
    ? [isAbsolute(command) ? command : join(cwd, command)]
    : path.split(delimiter).map((directory) => join(directory === "" ? cwd : directory, command));
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false; // not there, or not ours to run
    }
  });
}
