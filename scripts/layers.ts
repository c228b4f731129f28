/**
 * The layers of the tests. Quick are the files that reach, through everything they import, nothing that starts a process,
 * opens a socket or loads native code; and, whatever they import, the suites of the directories that hold a simulation, a
 * contract or a fuzzer.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";

const quickDirectories = /\/(?:simulation|simulated|contract|fuzz)\//;
const real =
  /^(?:node:(?:child_process|cluster|dgram|http|http2|https|net|tls|worker_threads)|koffi|ws|@lydell\/node-pty)$/;
/** Loads native code there, and nothing where it has nothing to do. */
const ofWindows = "src/platform/windows/";
const imported =
  /^(?:import|export)\s(?!type\s)(?:[^;"]*?\sfrom\s+)?"([^"]+)"|(?<!\btypeof )\bimport\(\s*"([^"]+)"\s*\)/gm;
/** A part of the operating system's code, which is loaded by its name: on the machine of the tests, from this directory. */
const part = /^(?:export )?const \{[^}]*\} = backend\("(\w+)"\)/gm;
const ofSystem = "src/platform/linux/";

/** Gives a file's text, by its path from the root of the project. */
export type Read = (path: string) => string;

interface Imports {
  /** The file itself, and what it reaches through everything it imports. */
  readonly files: ReadonlySet<string>;
  readonly isReal: boolean;
}

export function importsOf(file: string, read: Read): Imports {
  const files = new Set([file]);
  let isReal = false;
  for (const path of files) {
    if (path.startsWith(ofWindows)) continue;
    for (const [, name] of read(path).matchAll(part)) files.add(`${ofSystem}${name}.ts`);
    for (const [, named, loaded] of read(path).matchAll(imported)) {
      const target = named ?? loaded ?? "";
      isReal ||= real.test(target);
      if (/^\..*\.[mc]?[jt]s$/.test(target)) files.add(join(dirname(path), target));
    }
  }
  return { files, isReal };
}

export function isQuick(file: string, read: Read): boolean {
  return quickDirectories.test(file) || !importsOf(file, read).isReal;
}

/** Reads each file once. */
export function readOnce(): Read {
  const texts = new Map<string, string>();
  return (path) => {
    // A path in the text of a program that a test writes is a path of no file here.
    const text = texts.get(path) ?? (existsSync(path) ? readFileSync(path, "utf8") : "");
    texts.set(path, text);
    return text;
  };
}

export function quickFiles(): string[] {
  const read = readOnce();
  return globSync("test/**/*.test.ts")
    .toSorted()
    .filter((file) => isQuick(file, read));
}

/** Those that play something more often, or larger, in the long run. */
export function longFiles(): string[] {
  return globSync("test/**/*.test.ts")
    .toSorted()
    .filter((file) => /from "(?:\.\.\/)+helpers\/long\.ts"/.test(readFileSync(file, "utf8")));
}
