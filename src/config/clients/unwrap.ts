/** Removes `holdfast run --` again: the exact reverse of `wrapDocument`, whatever has changed in the file since. */
import type { Document, Entry } from "./document.ts";
import { wrapperLength } from "./prefix.ts";
import { type Edit, memberOf } from "./tree.ts";
import { checked, fullName, stdioOf, type Change, type Finding } from "./wrap.ts";

/** `originals`: earlier contents, newest first; they tell whether a server without arguments had an empty list. */
export function unwrapDocument(document: Document, originals: readonly Document[]): Change {
  const edits: Edit[] = [];
  const findings: Finding[] = [];
  const expected: [string[], { command: string; args: string[] | undefined }][] = [];
  for (const entry of document.entries) {
    const stdio = stdioOf(entry);
    const name = fullName(entry.path);
    if (typeof stdio === "string") {
      findings.push({ name, state: "unchanged", note: stdio });
      continue;
    }
    const all = [stdio.words.command, ...stdio.words.args];
    const length = wrapperLength(all);
    if (length === undefined) {
      findings.push({ name, state: "unchanged", note: "not wrapped" });
      continue;
    }
    const [command = "", ...args] = all.slice(length);
    const { kept, changes } = unwrapEdits(document, entry, length, hadArgs(originals, entry));
    edits.push(...changes);
    expected.push([entry.path, { command, args: kept ? args : undefined }]);
    findings.push({ name, state: "changed" });
  }
  return { edits, after: checked(document, edits, expected), findings };
}

function hadArgs(originals: readonly Document[], { path }: Entry): boolean {
  const key = path.join("\0");
  for (const { entries } of originals) {
    const before = entries.find((entry) => entry.path.join("\0") === key);
    const stdio = before === undefined ? "" : stdioOf(before);
    // A backup with the server already wrapped tells nothing about it.
    if (typeof stdio === "string" || wrapperLength([stdio.words.command, ...stdio.words.args]) !== undefined) continue;
    return stdio.args !== undefined;
  }
  return false;
}

function unwrapEdits(
  { text }: Document,
  entry: Entry,
  length: number,
  isKept: boolean,
): { kept: boolean; changes: Edit[] } {
  const command = memberOf(entry.node, "command");
  const args = memberOf(entry.node, "args");
  if (command === undefined || args?.value.kind !== "array") throw new TypeError("a wrapped server has a list of args");
  const { items } = args.value;
  // The command is word 0 and the list begins with word 1, so the original word 0 is at `length - 1`.
  const [first, own, next] = [items[0], items[length - 1], items[length]];
  if (first === undefined || own === undefined) throw new TypeError("a wrapped server has a command");
  const back = { start: command.value.start, end: command.value.end, text: text.slice(own.start, own.end) };
  if (next !== undefined) return { kept: true, changes: [back, { start: first.start, end: next.start, text: "" }] };
  const between = text.slice(command.value.end, args.keySpan.start);
  // Only a list in the place where `wrap` puts one can be from `wrap`.
  if (!isKept && args.keySpan.start > command.value.end && /^\s*,?\s*$/.test(between))
    return { kept: false, changes: [back, { start: command.value.end, end: args.value.end, text: "" }] };
  return { kept: true, changes: [back, { start: first.start, end: trailingComma(text, own.end), text: "" }] };
}

/** A lone comma would not be a valid list. */
function trailingComma(text: string, from: number): number {
  const comma = /^\s*,/.exec(text.slice(from, from + 200));
  return from + (comma?.[0].length ?? 0);
}
