/**
 * The executor for processors without a compiled one: `node executor.ts DIGIT …` reads the command image (as JSON) and becomes
 * the command. It costs a Node start, and cannot pass invalid UTF-8.
 */
import { accessSync, constants, readFileSync, readSync, openSync, closeSync, statSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { JsonImage } from "./command-image.ts";
import { closeAllOnExec } from "./ffi.ts";

export const executorScript = fileURLToPath(import.meta.url);

function isText(path: string): boolean {
  const first = Buffer.alloc(4);
  const file = openSync(path, constants.O_RDONLY);
  const count = readSync(file, first);
  closeSync(file);
  const start = first.toString("latin1", 0, count);
  return start !== "\u007fELF" && !start.startsWith("#!");
}

/** 0: executable. Otherwise the exit code of a shell that could not run it. */
function codeFor(path: string): 0 | 126 | 127 {
  try {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return 127;
    if (!statSync(path).isFile()) return 126;
    accessSync(path, constants.X_OK);
    return 0;
  } catch {
    return 126; // present, but not executable for us
  }
}

function execute(descriptor: number): void {
  const image = JSON.parse(readFileSync(`/proc/self/fd/${descriptor}`, "utf8")) as JsonImage;
  const codes = image.paths.map(codeFor);
  const path = image.paths[codes.indexOf(0)];
  if (path === undefined) {
    const isThere = codes.includes(126);
    writeSync(2, isThere ? image.refused : image.notFound);
    process.exitCode = isThere ? 126 : 127;
    return;
  }
  const environment = Object.fromEntries(image.variables);
  closeAllOnExec();
  if (isText(path)) process.execve?.("/bin/sh", ["/bin/sh", path, ...image.words.slice(1)], environment);
  process.execve?.(path, image.words, environment);
}

if (process.argv[1] === executorScript) execute(Number(process.argv[2]));
