/** The command line that `wrap` puts before a server's command, and how it is recognized. */
import { accessSync, constants, readFileSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** A command as clients keep it: a program and its arguments. */
export interface Words {
  command: string;
  args: string[];
}

/** The program that `holdfast` is on this machine. */
export interface Installation {
  /** Absolute path of the running `main.js`. */
  script: string;
  /** Absolute path of the running Node.js. */
  node: string;
  /** The PATH that the client is taken to have. */
  path: string;
}

/**
 * `holdfast` when that name leads to this installation along PATH, so that an update keeps working and the file can go to
 * another machine; else this Node.js and this script by their full paths. The script names no Node.js but the first on PATH,
 * so that one must be this one: an older one would refuse, and the client would have no server.
 */
export function ownWords({ script, node, path }: Installation): string[] {
  const isOwn = firstOnPath("holdfast", path) === realPath(script) && firstOnPath("node", path) === realPath(node);
  return isOwn ? ["holdfast"] : [node, script];
}

/** The one that a client would start. It does not have the directories that npm puts in front for its own scripts. */
function firstOnPath(name: string, path: string): string | undefined {
  for (const directory of path.split(delimiter)) {
    if (directory === "" || /[\\/]node_modules[\\/]\.bin$/.test(directory)) continue;
    const found = programAt(join(directory, name));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Where a program really is; undefined when a search along PATH would pass it by. */
function programAt(file: string): string | undefined {
  try {
    accessSync(file, constants.X_OK);
    return realPath(file);
  } catch {
    return undefined; // no such file, or none that can be started
  }
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch {
    return undefined; // no such file
  }
}

/** How many of the words, the command being the first, are Holdfast itself; 0 = it is another program. */
export function ownLength([command = "", script = ""]: readonly string[]): 0 | 1 | 2 {
  const program = baseName(command);
  if (/^holdfast(?:\.(?:cmd|exe|ps1))?$/.test(program)) return 1;
  if (!/^node(?:js)?(?:\.exe)?$/.test(program) || !/[\\/](?:dist|lib|src)[\\/]main\.[jt]s$/.test(script)) return 0;
  return isOwnScript(script) ? 2 : 0;
}

/** By the package around it; by its path when that is gone. */
function isOwnScript(script: string): boolean {
  try {
    const { name } = JSON.parse(readFileSync(join(dirname(script), "..", "package.json"), "utf8")) as {
      name?: unknown;
    };
    return name === "holdfast";
  } catch {
    return /[\\/]holdfast[\\/]/.test(script);
  }
}

/** How many words stand before the command that `holdfast run` holds; undefined when it is not wrapped. */
export function wrapperLength(words: readonly string[]): number | undefined {
  const own = ownLength(words);
  if (own === 0 || words[own] !== "run") return undefined;
  const end = words.indexOf("--", own);
  // Without `--` there are no options: a command that begins with a dash cannot be meant.
  const length = end === -1 ? own + 1 : end + 1;
  const options = end === -1 ? [] : words.slice(own + 1, end);
  const isOurs = options.every((word) => /^(?:--[a-z-]+(?:=\d+)?|\d+)$/.test(word));
  return isOurs && words.length > length ? length : undefined;
}

/** The last part of a path, of either system. */
export function baseName(command: string): string {
  return command.split(/[\\/]/).at(-1) ?? "";
}
