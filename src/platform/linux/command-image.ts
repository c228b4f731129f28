/**
 * The end of a chain of guards: arguments, environment and candidate paths of one command, as bytes in a memory file that the
 * guards inherit as a descriptor. Only the executor reads it, so our shells see none of the command's variables, and none
 * appears in the world-readable argv.
 */
import { closeSync, writeSync } from "node:fs";
import { HoldfastError } from "../../errors.ts";
import type { Environment } from "../types.ts";
import { memoryFile } from "./ffi.ts";

/** Text is encoded as UTF-8; bytes are passed on unchanged. */
type Text = string | Uint8Array;

/** The executor's input format: `binary` for the program, `json` for the script. */
export type ImageFormat = "binary" | "json";

export interface Command {
  argv: readonly Text[];
  environment: Environment;
  /** Numbers of signals that the command ignores from its start; none by default. */
  ignoredSignals?: readonly number[] | undefined;
}

/** Search path without a PATH variable. */
const defaultPath = "/usr/bin:/bin";
/** Where the executor maps the image: far below the kernel's own choices, in every layout of both processors. */
const base = 0x10_0000_0000n;
/** Words of 8 bytes: environment, arguments, paths, ignored signals, two messages with their lengths, the shell. */
const headerWords = 9;

const toBytes = (text: Text): Buffer => Buffer.from(text);

/** The entries of an environment with `changes` applied; undefined removes an entry. */
export function environmentEntries(
  environment: Environment,
  changes: Readonly<Record<string, string | undefined>> = {},
): Uint8Array[] {
  const entries = Array.isArray(environment)
    ? (environment as readonly Uint8Array[])
    : Object.entries(environment).map(([name, value]) => Buffer.from(`${name}=${value}`));
  const prefixes = Object.keys(changes).map((name) => Buffer.from(`${name}=`));
  const kept = entries.filter((entry) => prefixes.every((prefix) => !startsWith(entry, prefix)));
  const added = Object.entries(changes).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return [...kept, ...added.map((entry) => Buffer.from(entry))];
}

function startsWith(entry: Uint8Array, prefix: Uint8Array): boolean {
  return Buffer.compare(entry.subarray(0, prefix.length), prefix) === 0;
}

/** The files that a shell would try for a command in this environment, in order. */
function candidatesOf(command: Buffer, entries: readonly Uint8Array[]): Buffer[] {
  if (command.includes("/")) return [command];
  if (command.length === 0) return [];
  const pathPrefix = Buffer.from("PATH=");
  const entry = entries.find((each) => startsWith(each, pathPrefix));
  // One character per byte, so that any bytes pass.
  const path = entry === undefined ? defaultPath : Buffer.from(entry).toString("latin1", pathPrefix.length);
  const name = command.toString("latin1");
  return path.split(":").map((directory) => Buffer.from(`${directory || "."}/${name}`, "latin1"));
}

function refuseNul(pieces: readonly Uint8Array[]): void {
  if (pieces.some((piece) => piece.includes(0)))
    throw new HoldfastError("spawn_failed", "a command's arguments and variables cannot contain a NUL character");
}

/** Input of the executor script: see executor.ts. */
export interface JsonImage {
  words: string[];
  variables: [string, string][];
  paths: string[];
  notFound: string;
  refused: string;
}

function jsonImage(
  parts: Record<"words" | "entries" | "paths", Uint8Array[]> & Record<"notFound" | "refused", Buffer>,
) {
  const texts = (pieces: Uint8Array[]) => pieces.map((piece) => Buffer.from(piece).toString());
  const image: JsonImage = {
    words: texts(parts.words),
    variables: texts(parts.entries).map((entry) => {
      const at = entry.indexOf("=", 1);
      return at === -1 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
    paths: texts(parts.paths),
    notFound: String(parts.notFound),
    refused: String(parts.refused),
  };
  return Buffer.from(JSON.stringify(image));
}

/** The contents of the memory file. */
function imageOf({ argv, environment, ignoredSignals = [] }: Command, format: ImageFormat): Buffer {
  const words = argv.map(toBytes);
  const entries = environmentEntries(environment);
  const paths = candidatesOf(words[0] ?? Buffer.alloc(0), entries);
  refuseNul([...words, ...entries]);
  const said = (reason: string) =>
    Buffer.concat([Buffer.from("holdfast: "), words[0] ?? Buffer.alloc(0), Buffer.from(`: ${reason}\n`)]);
  const notFound = said("command not found");
  const refused = said("cannot be run (permission denied, a directory, or not a program)");
  if (format === "json") return jsonImage({ words, entries, paths, notFound, refused });
  // One spare word before the arguments: a file without "#!" becomes an argument of the shell.
  const tableWords = headerWords + entries.length + 1 + 1 + words.length + 1 + paths.length + 1;
  const strings: Uint8Array[] = [];
  const table = new BigUint64Array(tableWords);
  let at = BigInt(tableWords * 8);
  const add = (text: Uint8Array): bigint => {
    strings.push(text, Buffer.alloc(1));
    const address = base + at;
    at += BigInt(text.length + 1);
    return address;
  };
  let next = headerWords;
  const list = (texts: readonly Uint8Array[]): bigint => {
    const address = base + BigInt(next * 8);
    for (const text of texts) table[next++] = add(text);
    next += 1;
    return address;
  };
  table[0] = list(entries);
  next += 1;
  table[1] = list(words);
  table[2] = list(paths);
  table[3] = ignoredSignals.reduce((mask, signal) => mask | (1n << BigInt(signal - 1)), 0n);
  table.set([add(notFound), BigInt(notFound.length), add(refused), BigInt(refused.length)], 4);
  table[8] = add(Buffer.from("/bin/sh"));
  return Buffer.concat([Buffer.from(table.buffer), ...strings]);
}

/** A close-on-exec descriptor for the executor; the caller closes it. Throws `spawn_failed`. */
export function openCommandImage(command: Command, format: ImageFormat = "binary"): number {
  const image = imageOf(command, format);
  let descriptor = -1;
  try {
    descriptor = memoryFile("holdfast-command");
    for (let written = 0; written < image.length;) written += writeSync(descriptor, image, written);
    return descriptor;
  } catch (cause) {
    if (descriptor !== -1) closeSync(descriptor);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError("spawn_failed", `cannot hand over the command: ${reason}`, { cause });
  }
}
