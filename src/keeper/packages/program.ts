/** Finds the program of an installed package, as npx would, and a way to start it without npx. */
import { closeSync, existsSync, openSync, readFileSync, readSync, realpathSync } from "node:fs";
import { dirname, extname, join, sep } from "node:path";
import { nameOf, type NpxRequest } from "./npx-words.ts";

/** Enough for any first line; a kernel reads 256 bytes. */
const headBytes = 256;

export interface Program {
  command: string;
  args: string[];
}

/** Throws an error with the reason when there is none. `npx`: the command as the config names it. */
export function findProgram(directory: string, request: NpxRequest, npx: string): Program {
  const name = request.bin ?? defaultBin(directory, nameOf(request.packages[0] ?? ""));
  const link = join(directory, "node_modules", ".bin", name);
  if (name.includes("/") || !existsSync(link)) throw new Error(`the packages have no program ${JSON.stringify(name)}`);
  const file = realpathSync(link);
  if (!file.startsWith(realpathSync(directory) + sep)) throw new Error(`the program ${name} lies outside its package`);
  if (!isJavaScript(file)) return { command: file, args: request.args };
  return { command: siblingProgram(npx, "node"), args: [file, ...request.args] };
}

/** The only program, or the one named like the package. */
function defaultBin(directory: string, packageName: string): string {
  const file = join(directory, "node_modules", packageName, "package.json");
  const { bin = {} } = JSON.parse(readFileSync(file, "utf8")) as { bin?: string | Record<string, string> };
  const short = packageName.replace(/^@[^/]+\//, "");
  if (typeof bin === "string") return short;
  const [first, ...more] = Object.keys(bin);
  if (first !== undefined && more.every((other) => bin[other] === bin[first])) return first;
  if (bin[short] !== undefined) return short;
  throw new Error(`${packageName} has ${first === undefined ? "no program" : "several programs, none of its name"}`);
}

/** A first line that asks for plain node is followed here, which also works without the execute permission. */
function isJavaScript(file: string): boolean {
  const buffer = Buffer.alloc(headBytes);
  const descriptor = openSync(file, "r");
  let head: string;
  try {
    head = buffer.toString("latin1", 0, readSync(descriptor, buffer, 0, headBytes, 0));
  } finally {
    closeSync(descriptor);
  }
  if (head.startsWith("#!")) return /^#!\s*(?:\/\S*\/env\s+)?(?:\/\S*\/)?node[ \t]*\r?(?:\n|$)/.test(head);
  return [".js", ".cjs", ".mjs"].includes(extname(file));
}

/** A program of the same Node.js installation as this npx; a bare name if npx was given as one. */
export function siblingProgram(npx: string, program: "node" | "npm"): string {
  if (!npx.includes("/")) return program;
  const neighbour = join(dirname(npx), program);
  return existsSync(neighbour) ? neighbour : program;
}
