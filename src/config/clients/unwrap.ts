/** Takes `holdfast run --` away again: the exact reverse of `wrapDocument`, on whatever the file has become since. */
import type { Document, Entry } from "./document.ts";
import { wrapperLength } from "./prefix.ts";
import { type Edit, memberOf } from "./tree.ts";
import { checked, fullName, stdioOf, type Change, type Finding } from "./wrap.ts";

/** `originals` are what the file was before, the newest first: they say whether a server without arguments had an empty list. */
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
    // A backup of a file that was wrapped in part already says nothing of that part.
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
  // The command is word 0 and the list begins with word 1, so what was word 0 before stands at `length - 1`.
  const [first, own, next] = [items[0], items[length - 1], items[length]];
  if (first === undefined || own === undefined) throw new TypeError("a wrapped server has a command");
  const back = { start: command.value.start, end: command.value.end, text: text.slice(own.start, own.end) };
  if (next !== undefined) return { kept: true, changes: [back, { start: first.start, end: next.start, text: "" }] };
  const between = text.slice(command.value.end, args.keySpan.start);
  // Only a list that stands where `wrap` would have put it is taken for one that it put there.
  if (!isKept && args.keySpan.start > command.value.end && /^\s*,?\s*$/.test(between))
    return { kept: false, changes: [back, { start: command.value.end, end: args.value.end, text: "" }] };
  return { kept: true, changes: [back, { start: first.start, end: trailingComma(text, own.end), text: "" }] };
}

/** A list of nothing but a comma is no list. */
function trailingComma(text: string, from: number): number {
  const comma = /^\s*,/.exec(text.slice(from, from + 200));
  return from + (comma?.[0].length ?? 0);
}
