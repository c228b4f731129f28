/**
 * Reads the batch files that npm, pnpm, yarn and corepack write in front of a package's program, and says what they would
 * start. cmd.exe cannot be given every argument, so they are never run. What is not understood whole is not a shim.
 */
import { win32 } from "node:path";
import { foldName } from "./environment.ts";

export interface Shim {
  /** The program and the arguments before the caller's own. */
  readonly words: readonly string[];
  /** Variables that the shim sets for the program. */
  readonly variables: Readonly<Record<string, string>>;
}

interface Surroundings {
  /** Full path of the batch file. */
  readonly file: string;
  readonly exists: (path: string) => boolean;
  readonly variable: (name: string) => string | undefined;
}

/** Lines; real shims have at most 20. */
const linesMax = 60;

/** What a shim says before it starts its program, without meaning for the program. */
const silent = [
  /^(?:rem\b|::)/i,
  /^echo off$/i,
  /^setlocal$/i,
  // npm's way to learn its own directory: a subroutine before the start.
  /^goto start$/i,
  /^:(?:find_dp0|start)$/i,
  /^set dp0=%~dp0$/i,
  /^exit \/b$/i,
  /^call :find_dp0$/i,
];

/** npm asks Node for its global directory, to start a newer npm from there; the one beside the shim is as good. */
const search = /^for \/f "delims=" %%f in \('call "%node_exe%" "%npm_prefix_js%"'\) do \($/i;

/** Before its last line, npm drops its variables and the question whether to end a batch job. */
const leave = /^endlocal & goto #_undefined_# 2>nul \|\| title %comspec% & /i;

const setting = /^set (?:"([^"=%]+)=([^"]*)"|([^"=%\s]+)=([^"&|<>^]*))$/i;
const condition = /^if (not )?(?:exist "([^"]*)"|defined (\w+)) \($/i;

/** One pass over the lines, with the branches that hold. */
class Reader {
  readonly #surroundings: Surroundings;
  /** By folded name. */
  readonly #set = new Map<string, [name: string, value: string]>();
  /** Whether each open branch, and all around it, is taken. */
  readonly #branches: boolean[] = [];
  #shim: Shim | undefined;
  #isUnknown = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  read(text: string): Shim | undefined {
    const lines = text.split(/\r?\n/).map((line) => line.trim().replace(/^@/, ""));
    if (lines.length > linesMax) return undefined;
    for (const line of lines) this.#line(line);
    return this.#isUnknown || this.#branches.length > 0 ? undefined : this.#shim;
  }

  get #isTaken(): boolean {
    return this.#branches.every(Boolean);
  }

  #line(line: string): void {
    if (line === "" || silent.some((each) => each.test(line))) return;
    const conditions = condition.exec(line);
    if (line === ")") this.#close();
    else if (/^\) else \($/i.test(line)) this.#otherwise();
    else if (conditions !== null) this.#branches.push(this.#holds(conditions));
    else if (search.test(line)) this.#branches.push(false);
    else if (this.#isTaken) this.#act(line);
    else this.#isUnknown ||= !setting.test(line) && !line.endsWith("%*");
  }

  #close(): void {
    if (this.#branches.pop() === undefined) this.#isUnknown = true;
  }

  #otherwise(): void {
    const branch = this.#branches.pop();
    if (branch === undefined) this.#isUnknown = true;
    else this.#branches.push(!branch);
  }

  #holds([, not, file, name]: readonly (string | undefined)[]): boolean {
    const path = file === undefined ? undefined : this.#expand(file);
    const isSo = path === undefined ? this.#variable(name ?? "") !== undefined : path !== "" && this.#exists(path);
    return isSo === (not === undefined);
  }

  #exists(path: string): boolean {
    return this.#surroundings.exists(win32.resolve(win32.dirname(this.#surroundings.file), path));
  }

  #act(line: string): void {
    // A shim ends with its program.
    if (this.#shim !== undefined) this.#isUnknown = true;
    const set = setting.exec(line);
    if (set === null) return this.#start(line);
    const name = set[1] ?? set[3] ?? "";
    this.#set.set(foldName(name), [name, this.#expand(set[2] ?? set[4] ?? "")]);
  }

  #start(line: string): void {
    const rest = line.replace(leave, "");
    const words = this.#wordsOf(rest);
    if (words === undefined) this.#isUnknown = true;
    else this.#shim = { words, variables: Object.fromEntries(rest === line ? this.#set.values() : []) };
  }

  /** The words before `%*`; undefined unless each is a plain word or a whole quotation. */
  #wordsOf(line: string): string[] | undefined {
    const before = /^(.*\S)\s+%\*$/.exec(line)?.[1];
    if (before === undefined || !/^(?:(?:"[^"]+"|[^\s"&|<>^()]+)(?:\s+|$))+$/.test(before)) return undefined;
    const words = [...before.matchAll(/"([^"]+)"|(\S+)/g)].map(([, quoted, plain]) =>
      this.#expand(quoted ?? plain ?? ""),
    );
    if (words.some((word) => word === "" || word.includes("%"))) return undefined;
    const directory = win32.dirname(this.#surroundings.file);
    // `%~dp0\..\x.js` has two backslashes in a row, which a program may show or compare.
    return words.map((word) => (word.startsWith(`${directory}\\`) ? win32.normalize(word) : word));
  }

  #variable(name: string): string | undefined {
    return this.#set.get(foldName(name))?.[1] ?? this.#surroundings.variable(name);
  }

  /** `%~dp0` and npm's `%dp0%`, `%NAME%`, `%NAME:from=to%`; an unset name is empty. */
  #expand(text: string): string {
    const directory = `${win32.dirname(this.#surroundings.file)}\\`;
    return text.replaceAll(/%~dp0|%([^%:*]+)(?::([^%=]+)=([^%]*))?%/gi, (_, name?: string, from?: string, to = "") => {
      if (name === undefined || /^dp0$/i.test(name)) return directory;
      const value = this.#variable(name) ?? "";
      if (from === undefined) return value;
      return value.replaceAll(new RegExp(from.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"), "gi"), () => to);
    });
  }
}

/** Undefined for a batch file that is anything else. */
export function readShim(text: string, surroundings: Surroundings): Shim | undefined {
  return new Reader(surroundings).read(text);
}
