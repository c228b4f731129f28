/** Edits `holdfast.json` without losing comments and layout; an invalid result is not written. */
import { rmSync } from "node:fs";
import { HoldfastError } from "../../errors.ts";
import { parseConfig, servedName } from "../load.ts";
import { createFile, readIfThere, replaceFile, type ReadFile } from "./file.ts";
import type { RawServer } from "./import.ts";
import { readJson5 } from "./json5.ts";
import { withMember, withoutMember } from "./members.ts";
import { lineOf, memberOf, SyntaxProblem, valueOf, type Node } from "./tree.ts";

export interface OwnConfig {
  file: string;
  /** Undefined before the file exists. */
  read: ReadFile | undefined;
  text: string;
  /** As written: without defaults, variables unexpanded. */
  servers: Record<string, RawServer>;
}

/** The initial text of a new file. */
const empty = '{\n  "mcpServers": {}\n}\n';

/** Throws for an existing invalid file: a change must not build on it. */
export function readOwnConfig(file: string): OwnConfig {
  const read = readIfThere(file);
  if (read === undefined) return { file, read, text: empty, servers: {} };
  parseConfig(file, read.text);
  const servers = memberOf(treeOf(file, read.text), "mcpServers");
  return {
    file,
    read,
    text: read.text,
    servers: servers === undefined ? {} : (valueOf(servers.value) as Record<string, RawServer>),
  };
}

/** What ends a comment differs between the two readers of this file, so a valid config may be one that cannot be edited. */
function treeOf(file: string, text: string): Node {
  try {
    return readJson5(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxProblem)) throw cause;
    const place = `${file}, line ${lineOf(text, cause.offset)}`;
    throw new HoldfastError("config_invalid", `${place}: ${cause.message}; nothing was changed`, { cause });
  }
}

/** Undefined removes a server. Throws `config_invalid` when the result would be invalid. */
export function changeServers(config: OwnConfig, changes: readonly [string, RawServer | undefined][]): string {
  let text = config.text.trim() === "" ? empty : config.text;
  for (const [name, server] of changes) {
    const root = treeOf(config.file, text);
    const servers = memberOf(root, "mcpServers")?.value;
    if (root.kind !== "object") break; // parseConfig reports it
    if (server === undefined) text = servers?.kind === "object" ? withoutMember(text, servers, name) : text;
    else if (servers?.kind === "object") text = withMember(text, servers, name, server);
    else text = withMember(text, root, "mcpServers", { [name]: server });
  }
  // Problems of other servers existed before and do not concern this change.
  const after = parseConfig(config.file, text);
  const wrong = changes.flatMap(([name]) => after.unavailable[servedName(after, name)]?.problem ?? []);
  if (wrong.length > 0) throw new HoldfastError("config_invalid", `${config.file}: ${wrong.join("; ")}`);
  return text;
}

export function writeOwnConfig(config: OwnConfig, text: string): void {
  if (config.read === undefined) createFile(config.file, text);
  else if (text !== config.text) replaceFile(config.read, text);
}

/** Undoes `writeOwnConfig`, unless another program has written the file since. */
export function takeBack(config: OwnConfig, text: string): void {
  const now = readIfThere(config.file);
  if (now === undefined || now.text !== text) return;
  if (config.read === undefined) rmSync(now.target);
  else replaceFile(now, config.text);
}

export function serverUnknown(config: OwnConfig, name: string): HoldfastError {
  const names = Object.keys(config.servers);
  return new HoldfastError(
    "server_unknown",
    `${config.file} has no server ${name}; it has ${names.length === 0 ? "none" : names.join(", ")}`,
  );
}
