/** Changes to a text as replaced spans, and how they look to a person. */
import type { Span } from "./tree.ts";

export interface Edit extends Span {
  text: string;
}

/** The edits must not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = "";
  let at = 0;
  for (const edit of inOrder(edits)) {
    if (edit.start < at) throw new RangeError("edits overlap");
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}

function inOrder(edits: readonly Edit[]): Edit[] {
  return edits.toSorted((a, b) => a.start - b.start || a.end - b.end);
}

/** A line of a minified file would fill the screen. */
const columnsMax = 240;
const secretLine = /((?:key|token|secret|passw|auth|credential)[^:=]{0,40}["']?\s*[:=]\s*)(["']).+?\2/gi;

interface Hunk {
  first: number;
  last: number;
  edits: Edit[];
}

/** A unified diff without its file header: the lines that change, and one around them, in which what looks secret is covered. */
export function describeEdits(text: string, edits: readonly Edit[]): string[] {
  const starts = [0];
  for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", end + 1)) starts.push(end + 1);
  const lineAt = (offset: number) => starts.findLastIndex((start) => start <= offset);
  const endOf = (line: number) => starts[line + 1] ?? text.length;
  const hunks: Hunk[] = [];
  for (const edit of inOrder(edits)) {
    const first = lineAt(edit.start);
    const last = lineAt(Math.max(edit.start, edit.end - 1));
    const before = hunks.at(-1);
    if (before !== undefined && first <= before.last + 1) {
      before.last = Math.max(before.last, last);
      before.edits.push(edit);
    } else hunks.push({ first, last, edits: [edit] });
  }
  let shift = 0;
  return hunks.flatMap((hunk) => {
    const start = starts[hunk.first] ?? 0;
    const end = endOf(hunk.last);
    const moved = hunk.edits.map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
    const old = linesOf(text.slice(start, end));
    const fresh = linesOf(applyEdits(text.slice(start, end), moved));
    const head = `@@ -${hunk.first + 1},${old.length} +${hunk.first + 1 + shift},${fresh.length} @@`;
    shift += fresh.length - old.length;
    const around = (line: number) =>
      line < 0 || line >= starts.length || starts[line] === text.length
        ? []
        : linesOf(text.slice(starts[line], endOf(line))).map((one) => ` ${shorten(one)}`);
    return [head, ...around(hunk.first - 1), ...changed(old, fresh), ...around(hunk.last + 1)];
  });
}

function linesOf(text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/** Lines that a hunk only spans are shown once. */
function changed(old: string[], fresh: string[]): string[] {
  const left = new Set(old);
  const right = new Set(fresh);
  const removed = old.filter((line) => !right.has(line)).map((line) => `-${shorten(line)}`);
  const added = fresh.filter((line) => !left.has(line)).map((line) => `+${shorten(line)}`);
  return [...removed, ...added];
}

function shorten(line: string): string {
  const covered = line.replaceAll(secretLine, "$1$2…$2");
  return covered.length <= columnsMax ? covered : `${covered.slice(0, columnsMax)} … (${covered.length} characters)`;
}
