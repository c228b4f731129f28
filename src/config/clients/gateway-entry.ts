/** Replaces the stdio servers of a client's file by one entry for the gateway, and restores them. */
import { HoldfastError } from "../../errors.ts";
import { at, meaningOf, type Container, type Document, type Entry } from "./document.ts";
import { ownLength } from "./prefix.ts";
import type { Section } from "./toml.ts";
import { applyEdits, type Edit, memberOf } from "./tree.ts";
import { fullName, means, quoted, stdioOf, type Change, type Finding } from "./wrap.ts";

const gatewayName = "holdfast";

/** Whether an entry is `holdfast … mcp`, the way into the gateway. */
export function isGatewayEntry(entry: Entry): boolean {
  const stdio = stdioOf(entry);
  if (entry.name !== gatewayName || typeof stdio === "string") return false;
  return ownLength([stdio.words.command, ...stdio.words.args]) > 0 && stdio.words.args.at(-1) === "mcp";
}

function entriesOf({ entries }: Document, { path }: Container): Entry[] {
  return entries.filter((entry) => entry.path.length === path.length + 1 && isUnder(entry.path, path));
}

function isUnder(path: readonly string[], above: readonly string[]): boolean {
  return above.every((key, index) => path[index] === key);
}

/** Replaces the servers that `isTaken` accepts; the client keeps those that the gateway lacks. The command begins with `words`. */
export function replaceByGateway(
  document: Document,
  words: readonly string[],
  isTaken: (entry: Entry) => boolean,
): Change {
  const edits: Edit[] = [];
  const findings: Finding[] = [];
  const wanted = meaningOf(document.text, document.language);
  const [command = "", ...args] = words;
  for (const container of document.containers) {
    const here = entriesOf(document, container);
    const gone = here.filter((entry) => !isGatewayEntry(entry) && isTaken(entry));
    for (const { path } of gone)
      findings.push({ name: fullName(path), state: "changed", note: "replaced by the gateway" });
    if (gone.length === 0) continue;
    const own = here.find(({ name }) => name === gatewayName);
    if (own !== undefined && !isGatewayEntry(own) && !gone.includes(own))
      throw new HoldfastError(
        "client_config_invalid",
        `${fullName(own.path)} is another server of that name; rename it, the gateway's entry needs the name`,
      );
    const value = { ...extras(container.path), command, args };
    const hasOwn = own !== undefined && !gone.includes(own);
    edits.push(
      ...(document.language === "toml" ? tomlEdits : jsonEdits)(document, container, gone, hasOwn ? undefined : value),
    );
    const servers = at(wanted, container.path) as Record<string, unknown>;
    for (const { name } of gone) delete servers[name];
    if (!hasOwn) servers[gatewayName] = value;
  }
  return { edits, after: checkedAgainst(document, edits, wanted), findings };
}

/** VS Code names the transport. */
function extras(path: readonly string[]): Record<string, string> {
  return path[0] === "servers" ? { type: "stdio" } : {};
}

function checkedAgainst({ text, language }: Document, edits: readonly Edit[], wanted: unknown): string {
  const after = applyEdits(text, edits);
  if (edits.length === 0 || means(after, language, wanted)) return after;
  throw new HoldfastError(
    "client_config_invalid",
    "the change would not mean what it should, so it is not made; change the file by hand",
  );
}

/** The new entry takes the first one's place; the others are removed with the comma before them. */
function jsonEdits(document: Document, { node }: Container, gone: readonly Entry[], value: object | undefined): Edit[] {
  const edits: Edit[] = [];
  let isPlaced = value === undefined;
  for (const [index, member] of node.members.entries()) {
    if (!gone.some((entry) => entry.member === member)) continue;
    const start = member.keySpan.start;
    if (!isPlaced) {
      isPlaced = true;
      edits.push({ start, end: member.value.end, text: `${quoted(gatewayName)}: ${layOut(document, start, value)}` });
      continue;
    }
    const before = node.members[index - 1];
    const after = node.members[index + 1];
    if (before !== undefined) edits.push({ start: before.value.end, end: member.value.end, text: "" });
    else edits.push({ start, end: after?.keySpan.start ?? member.value.end, text: "" });
  }
  return edits;
}

/** Formatted like JSON.stringify, from the line's indentation on; on one line if the file is. */
function layOut({ text }: Document, start: number, value: unknown): string {
  const line = text.lastIndexOf("\n", start) + 1;
  const indent = /^[ \t]*/.exec(text.slice(line, start))?.[0] ?? "";
  if (line === 0 || text.slice(line, start) !== indent) return JSON.stringify(value);
  const end = text[line - 2] === "\r" ? "\r\n" : "\n";
  return JSON.stringify(value, null, indent.startsWith("\t") ? "\t" : 2).replaceAll("\n", end + indent);
}

function sectionsOf({ sections }: Document, path: readonly string[]): Section[] {
  return sections.filter((section) => section.path.length >= path.length && isUnder(section.path, path));
}

function tomlEdits(document: Document, { path }: Container, gone: readonly Entry[], value: object | undefined): Edit[] {
  const header = [...path, gatewayName].join(".");
  let fresh =
    value === undefined
      ? ""
      : [`[${header}]`, ...Object.entries(value).map(([key, one]) => `${key} = ${JSON.stringify(one)}`), ""].join("\n");
  return gone.flatMap((entry) => {
    const sections = sectionsOf(document, entry.path);
    const isWhole = sections.some((section) => section.path.length === entry.path.length);
    if (!isWhole)
      throw new HoldfastError(
        "client_config_invalid",
        `${fullName(entry.path)} is not written as a table of its own ([${fullName(entry.path)}]), so it cannot be replaced; write it as one`,
      );
    return sections.map(({ start, end }) => {
      const text = fresh;
      fresh = "";
      return { start, end, text };
    });
  });
}

/** Restores from the original file. Undefined for a document without a gateway entry. */
export function restoreFromGateway(document: Document, originals: readonly Document[]): Change | undefined {
  const own = document.entries.filter(isGatewayEntry);
  if (own.length === 0) return undefined;
  const edits: Edit[] = [];
  const findings: Finding[] = [];
  const wanted = meaningOf(document.text, document.language);
  for (const entry of own) {
    const above = entry.path.slice(0, -1);
    const original = originals.find((one) => lostFrom(one, document, above).length > 0);
    const lost = original === undefined ? [] : lostFrom(original, document, above);
    if (original === undefined) {
      const note = "the servers that it replaced are in no backup here; `holdfast export` has them";
      findings.push({ name: fullName(entry.path), state: "left", note });
      continue;
    }
    const stdio = stdioOf(entry);
    const words = typeof stdio === "string" ? [] : [stdio.words.command, ...stdio.words.args];
    const isLost = (one: Entry) => lost.some(({ path }) => path.join("\0") === one.path.join("\0"));
    // An unmodified file is restored byte for byte.
    if (own.length === 1 && replaceByGateway(original, words, isLost).after === document.text)
      return {
        edits: [{ start: 0, end: document.text.length, text: original.text }],
        after: original.text,
        findings: lost.map(({ path }) => ({ name: fullName(path), state: "changed", note: "put back" })),
      };
    edits.push(...piecesBack(document, entry, original, lost));
    const servers = at(wanted, above) as Record<string, unknown>;
    delete servers[gatewayName];
    for (const { name, path } of lost) setOwn(servers, name, at(meaningOf(original.text, original.language), path));
    findings.push(...lost.map(({ path }): Finding => ({ name: fullName(path), state: "changed", note: "put back" })));
  }
  return { edits, after: checkedAgainst(document, edits, wanted), findings };
}

/** Sets an own property for any key: a TOML table has a prototype. */
function setOwn(table: object, key: string, value: unknown): void {
  Object.defineProperty(table, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Stdio servers missing from a place. */
function lostFrom(original: Document, now: Document, above: readonly string[]): Entry[] {
  const container = now.containers.find(({ path }) => path.join("\0") === above.join("\0"));
  return original.entries.filter(
    (entry) =>
      entry.path.length === above.length + 1 &&
      isUnder(entry.path, above) &&
      !isGatewayEntry(entry) &&
      typeof stdioOf(entry) !== "string" &&
      memberOf(container?.node, entry.name) === undefined,
  );
}

function piecesBack(document: Document, entry: Entry, original: Document, lost: readonly Entry[]): Edit[] {
  if (document.language === "json") {
    const { start } = entry.member.keySpan;
    const line = document.text.lastIndexOf("\n", start) + 1;
    const between = /^\s*$/.test(document.text.slice(line, start)) ? `,\n${document.text.slice(line, start)}` : ", ";
    const pieces = lost.map(({ member }) => original.text.slice(member.keySpan.start, member.value.end));
    return [{ start, end: entry.member.value.end, text: pieces.join(between) }];
  }
  let text = lost
    .flatMap(({ path }) => sectionsOf(original, path))
    .map(({ start, end }) => original.text.slice(start, end))
    .join("");
  return sectionsOf(document, entry.path).map(({ start, end }) => {
    const edit = { start, end, text };
    text = "";
    return edit;
  });
}
