/** One client's config file, parsed: its text, the positions of its servers, and its meaning. */
import { parse as parseToml, TomlError } from "smol-toml";
import { ParseError } from "toml-eslint-parser";
import { HoldfastError } from "../../errors.ts";
import { readJsonc } from "../jsonc.ts";
import { readJson5 } from "./json5.ts";
import type { ServersPath } from "./places.ts";
import { locateToml, type Section } from "./toml.ts";
import {
  SyntaxProblem,
  lineOf,
  memberOf,
  refuseRepeatedKeys,
  valueOf,
  type Member,
  type Node,
  type ObjectNode,
} from "./tree.ts";

export type Language = "json" | "toml";

/** The object of servers by name; `path` has the real keys. */
export interface Container {
  path: string[];
  node: ObjectNode;
}

export interface Entry {
  name: string;
  /** From the root, including the name. */
  path: string[];
  member: Member;
  node: ObjectNode;
}

export interface Document {
  file: string;
  language: Language;
  text: string;
  root: Node;
  containers: Container[];
  /** Servers whose value is an object. */
  entries: Entry[];
  /** Paths of names with any other value. */
  oddEntries: string[][];
  sections: Section[];
}

function languageOf(file: string): Language {
  return file.endsWith(".toml") ? "toml" : "json";
}

/** Throws `client_config_invalid` with file and line for an unparsable text. */
export function readDocument(file: string, text: string, paths: readonly ServersPath[]): Document {
  const language = languageOf(file);
  const { root, sections } = readTree(file, text, language);
  try {
    const containers = paths.flatMap((path) => findContainers(root, path, []));
    const entries: Entry[] = [];
    const oddEntries: string[][] = [];
    for (const { path, node } of containers) {
      refuseRepeatedKeys(node);
      for (const { key } of node.members) {
        const member = memberOf(node, key);
        if (member?.value.kind === "object")
          entries.push({ name: key, path: [...path, key], member, node: member.value });
        else oddEntries.push([...path, key]);
      }
    }
    return { file, language, text, root, containers, entries, oddEntries, sections };
  } catch (thrown) {
    if (!(thrown instanceof SyntaxProblem)) throw thrown;
    throw new HoldfastError(
      "client_config_invalid",
      `${file}, line ${lineOf(text, thrown.offset)}: ${thrown.message}; nothing was changed`,
      { cause: thrown },
    );
  }
}

function readTree(file: string, text: string, language: Language): { root: Node; sections: Section[] } {
  try {
    if (language === "json") {
      const root = readJson5(text);
      if (root.kind !== "object") throw new SyntaxProblem("the file is not an object", root.start);
      return { root, sections: [] };
    }
    meaningOf(text, language);
    return locateToml(text);
  } catch (cause) {
    const line = problemLine(text, cause);
    if (line === undefined || !(cause instanceof Error)) throw cause;
    const what = (cause.message.split("\n")[0] ?? "").replace("Invalid TOML document: ", "");
    const form = language === "toml" ? "TOML" : "JSON, with or without comments";
    throw new HoldfastError(
      "client_config_invalid",
      `${file}, line ${line}: ${what}; the file must be ${form}; nothing was changed`,
      { cause },
    );
  }
}

/** Undefined for errors of other origin. */
function problemLine(text: string, thrown: unknown): number | undefined {
  if (thrown instanceof SyntaxProblem) return lineOf(text, thrown.offset);
  if (thrown instanceof TomlError) return thrown.line;
  return thrown instanceof ParseError ? thrown.lineNumber : undefined;
}

function findContainers(node: Node, path: ServersPath, seen: string[]): Container[] {
  const [key, ...rest] = path;
  if (key === undefined) return node.kind === "object" ? [{ path: seen, node }] : [];
  if (node.kind !== "object") return [];
  const keys = key === "*" ? node.members.map((member) => member.key) : [key];
  return keys.flatMap((each) => {
    const member = memberOf(node, each);
    return member === undefined ? [] : findContainers(member.value, rest, [...seen, each]);
  });
}

/**
 * Parses a text by libraries independent of our trees, as the check on every change. JSON5 beyond JSON with comments is
 * parsed by our own reader.
 */
export function meaningOf(text: string, language: Language): unknown {
  const plain = text.replace(/^\uFEFF/, "");
  if (language === "toml") return parseToml(plain, { integersAsBigInt: "asNeeded" });
  const read = readJsonc(plain);
  return "value" in read ? read.value : valueOf(readJson5(plain));
}

/** The value at a path of own keys; undefined if missing. */
export function at(value: unknown, path: readonly string[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, key)) return undefined;
    current = (current as Record<string, unknown>)[key];
  }
  return current;
}

/** Whether two meanings are equal, regardless of key order; the libraries' objects have various prototypes. */
export function isSameMeaning(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || one === null || typeof other !== "object" || other === null)
    return Object.is(one, other);
  // TOML dates serialise to their own form: with or without a time, with or without an offset.
  if (one instanceof Date || other instanceof Date)
    return one instanceof Date && other instanceof Date && one.toISOString() === other.toISOString();
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && isSameMeaning(at(one, [key]), at(other, [key])))
  );
}
