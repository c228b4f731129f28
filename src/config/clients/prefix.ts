/** The command line that `wrap` puts before a server's command, and its recognition. */
import { accessSync, constants, readFileSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** A command as clients store it: a program and its arguments. */
export interface Words {
  command: string;
  args: string[];
}

/** The location of `holdfast` on this machine. */
export interface Installation {
  /** Absolute path of the running `main.js`. */
  script: string;
  /** Absolute path of the running Node.js. */
  node: string;
  /** The client's presumed PATH. */
  path: string;
}

/**
 * `holdfast` if PATH finds this installation under that name, so that updates work and the file is portable; else the full
 * paths of this Node.js and this script. The script runs on the first Node.js on PATH, so that must be this one: an older
 * one would refuse, and the client would have no server.
 */
export function ownWords({ script, node, path }: Installation): string[] {
  const isOwn = firstOnPath("holdfast", path) === realPath(script) && firstOnPath("node", path) === realPath(node);
  return isOwn ? ["holdfast"] : [node, script];
}

/** The program that a client would start. Clients lack the directories that npm prepends for its own scripts. */
function firstOnPath(name: string, path: string): string | undefined {
  for (const directory of path.split(delimiter)) {
    if (directory === "" || /[\\/]node_modules[\\/]\.bin$/.test(directory)) continue;
    const found = programAt(join(directory, name));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The real path of a program; undefined if a search along PATH would skip it. */
function programAt(file: string): string | undefined {
  try {
    accessSync(file, constants.X_OK);
    return realPath(file);
  } catch {
    return undefined; // missing, or not executable
  }
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch {
    return undefined; // missing
  }
}

/** How many leading words are Holdfast itself; 0 = another program. */
export function ownLength([command = "", script = ""]: readonly string[]): 0 | 1 | 2 {
  const name = baseName(command);
  // Names of Windows are case-insensitive.
  const program = /\.exe$/i.test(name) ? name.toLowerCase() : name;
  if (/^holdfast(?:\.(?:cmd|exe|ps1))?$/.test(program)) return 1;
  if (!/^node(?:js)?(?:\.exe)?$/.test(program) || !/[\\/](?:dist|lib|src)[\\/]main\.[jt]s$/.test(script)) return 0;
  return isOwnScript(script) ? 2 : 0;
}

/** By its package, or by its path if that is gone. */
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

/** How many words precede the command of `holdfast run`; undefined if it is not wrapped. */
export function wrapperLength(words: readonly string[]): number | undefined {
  const own = ownLength(words);
  if (own === 0 || words[own] !== "run") return undefined;
  const end = words.indexOf("--", own);
  // Without `--` there are no options: a command cannot begin with a dash.
  const length = end === -1 ? own + 1 : end + 1;
  const options = end === -1 ? [] : words.slice(own + 1, end);
  const isOurs = options.every((word) => /^(?:--[a-z-]+(?:=\d+)?|\d+)$/.test(word));
  return isOurs && words.length > length ? length : undefined;
}

/** The last part of a path of either system. */
export function baseName(command: string): string {
  return command.split(/[\\/]/).at(-1) ?? "";
}
