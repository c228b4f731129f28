/** Finds the file of a command as Windows would, and the line that starts it. */
import { lstatSync, readFileSync, statSync } from "node:fs";
import { win32 } from "node:path";
import { HoldfastError } from "../../errors.ts";
import { isBatch, startLine, type StartLine } from "./arguments.ts";
import { variableOf } from "./environment.ts";
import { readShim } from "./shim.ts";

/** What the search asks of the file system. */
export interface Files {
  isFile(path: string): boolean;
  /** Its text. Throws when it cannot be read. */
  read(path: string): string;
}

export interface Search {
  /** An absolute path, from which relative ones count. */
  readonly cwd: string;
  /** The variables of the command to start; names in any case. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly files?: Files | undefined;
}

/** A command ready to be started. */
export interface Resolved extends StartLine {
  /** Variables to set for it, as its shim would. */
  readonly variables: Readonly<Record<string, string>>;
}

/** What CreateProcessW starts, and what cmd.exe does; other extensions of PATHEXT belong to other programs. */
const startable = [".com", ".exe", ".bat", ".cmd"];
const pathExtensionsDefault = ".COM;.EXE;.BAT;.CMD";

/** A shim in front of a shim is real (corepack), a circle of them is not. */
const shimsMax = 4;

/** The text of a shim is a few hundred bytes. */
const shimBytesMax = 16_384;

const realFiles: Files = {
  isFile: (path) => {
    try {
      return statSync(path).isFile();
    } catch {
      return isAlias(path);
    }
  },
  read: (path) => (statSync(path).size > shimBytesMax ? "" : readFileSync(path, "utf8")),
};

/** Programs of the Store have links in PATH that only the system can follow. */
function isAlias(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false; // missing, or not visible to us
  }
}

/** Directories of PATH in order. Each may be in quotation marks, as those with a semicolon must be. */
function directoriesOf(path: string): string[] {
  return [...path.matchAll(/(?:"[^"]*"?|[^;"])+/g)].map(([each]) => each.replaceAll('"', "").trim()).filter(Boolean);
}

/** The names that a command may have on disk: itself with a startable extension, else with each of PATHEXT. */
function namesOf(command: string, pathExtensions: string): string[] {
  const extensions = pathExtensions
    .split(";")
    .map((each) => each.trim().toLowerCase())
    .filter((each) => startable.includes(each));
  const own = startable.includes(win32.extname(command).toLowerCase()) ? [command] : [];
  return [...own, ...extensions.map((each) => command + each)];
}

/**
 * The full path of a command: along PATH for a bare name, from `cwd` otherwise; undefined when no file is found. Unlike
 * cmd.exe it never looks into the working directory for a bare name, where a stranger may have put one.
 */
export function findCommand(command: string, { cwd, variables, files = realFiles }: Search): string | undefined {
  if (command === "") return undefined;
  const isPath = /[\\/]/.test(command) || /^[a-z]:/i.test(command);
  const directories = isPath ? [""] : directoriesOf(variableOf(variables, "PATH") ?? "");
  const names = namesOf(command, variableOf(variables, "PATHEXT") || pathExtensionsDefault);
  for (const directory of directories) {
    const found = names.map((name) => win32.resolve(cwd, directory, name)).find((file) => files.isFile(file));
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * What to give CreateProcessW for a command with its arguments. A package manager's shim is read and replaced by what it
 * would start. Throws `spawn_failed` for a missing command, and for arguments that a batch file cannot be given.
 */
export function resolveCommand(command: string, args: readonly string[], search: Search): Resolved {
  const { files = realFiles } = search;
  let words = [command, ...args];
  let variables: Record<string, string> = {};
  for (let shims = 0; ; shims += 1) {
    const around = { ...search, variables: { ...search.variables, ...variables } };
    const [first = "", ...rest] = words;
    const file = findCommand(first, around);
    if (file === undefined) throw missing(command, first);
    const shim = isBatch(file) && shims < shimsMax ? readAs(file, files, around.variables) : undefined;
    if (shim === undefined) {
      const root = variableOf(search.variables, "SystemRoot") ?? process.env["SystemRoot"] ?? String.raw`C:\Windows`;
      return { ...startLine(file, rest, root), variables };
    }
    words = [...shim.words, ...rest];
    variables = { ...variables, ...shim.variables };
  }
}

function readAs(file: string, files: Files, variables: Search["variables"]) {
  const surroundings = {
    file,
    exists: (path: string) => files.isFile(path),
    variable: (name: string) => variableOf(variables, name),
  };
  try {
    return readShim(files.read(file), surroundings);
  } catch {
    return undefined; // cmd.exe will say why it cannot be read
  }
}

function missing(command: string, needed: string): HoldfastError {
  if (needed === command) {
    const hint = /\.\w+$/.test(command) ? "; start a script by its interpreter, as in `node server.js`" : "";
    return new HoldfastError("spawn_failed", `cannot start ${command}: no such program${hint}`);
  }
  return new HoldfastError(
    "spawn_failed",
    `cannot start ${command}: it starts ${needed}, and there is no such program`,
  );
}
