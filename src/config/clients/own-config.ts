/** Changes to `holdfast.json` that keep its comments and layout; what would not be a valid config is not written. */
import { modify, type FormattingOptions } from "jsonc-parser";
import { HoldfastError } from "../../errors.ts";
import { parseConfig } from "../load.ts";
import { applyEdits } from "./edits.ts";
import { createFile, readIfThere, replaceFile, type ReadFile } from "./file.ts";
import type { RawServer } from "./import.ts";
import { readJson5 } from "./json5.ts";
import { memberOf, valueOf } from "./tree.ts";

export interface OwnConfig {
  file: string;
  /** Undefined when there is no file yet. */
  read: ReadFile | undefined;
  text: string;
  /** As written: no defaults, variables not filled in. */
  servers: Record<string, RawServer>;
}

/** What a new file begins as. */
const empty = '{\n  "mcpServers": {}\n}\n';

/** Throws when the file is there and no valid config: a change must not build on what nobody can read. */
export function readOwnConfig(file: string): OwnConfig {
  const read = readIfThere(file);
  if (read === undefined) return { file, read, text: empty, servers: {} };
  parseConfig(file, read.text.replace(/^\uFEFF/, ""));
  const servers = memberOf(readJson5(read.text), "mcpServers");
  return {
    file,
    read,
    text: read.text,
    servers: servers === undefined ? {} : (valueOf(servers.value) as Record<string, RawServer>),
  };
}

/** Undefined takes a server away. Throws `config_invalid` when the result would be none. */
export function changeServers(config: OwnConfig, changes: readonly [string, RawServer | undefined][]): string {
  const mark = config.text.startsWith("\uFEFF") ? "\uFEFF" : "";
  let text = config.text.slice(mark.length);
  if (text.trim() === "") text = "{}\n";
  const formattingOptions = layoutOf(text);
  for (const [name, server] of changes) {
    const edits = modify(text, ["mcpServers", name], server, { formattingOptions });
    text = applyEdits(
      text,
      edits.map(({ offset, length, content }) => ({ start: offset, end: offset + length, text: content })),
    );
  }
  parseConfig(config.file, text);
  return mark + text;
}

export function writeOwnConfig(config: OwnConfig, text: string): void {
  if (config.read === undefined) createFile(config.file, text);
  else if (text !== config.text) replaceFile(config.read, text);
}

function layoutOf(text: string): FormattingOptions {
  const [, indent = "  "] = /\n([ \t]+)\S/.exec(text) ?? [];
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  return { insertSpaces: !indent.startsWith("\t"), tabSize: indent.startsWith("\t") ? 4 : indent.length, eol };
}

export function serverUnknown(config: OwnConfig, name: string): HoldfastError {
  const names = Object.keys(config.servers);
  return new HoldfastError(
    "server_unknown",
    `${config.file} has no server ${name}; it has ${names.length === 0 ? "none" : names.join(", ")}`,
  );
}
