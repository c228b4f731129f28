/** How a change to a text looks to a person: a unified diff without its file header, in which what looks secret is covered. */
import { coverLine } from "./secrets.ts";

/** A line of a minified file would fill the screen. */
const columnsMax = 240;
/** Unchanged lines shown around a change. */
const around = 2;
/** More changed lines than this are not matched one by one: time and memory grow with the square. */
const matchedMax = 1000;

/** An unchanged line, or one that goes or comes. */
interface Step {
  kind: " " | "-" | "+";
  text: string;
  /** The line above it in its own text. */
  previous: string | undefined;
}

function linesOf(text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

function shown({ kind, text, previous }: Step): string {
  const line = coverLine(text, previous);
  const clipped = line.length <= columnsMax ? line : `${line.slice(0, columnsMax)} … (${line.length} characters)`;
  return kind + clipped;
}

/** A shortest way from the old lines to the new ones (Myers 1986); undefined when it is longer than is looked for. */
function shortestWay(old: readonly string[], fresh: readonly string[]): Step["kind"][] | undefined {
  const furthest = new Map<number, number>([[1, 0]]);
  const history: Map<number, number>[] = [];
  for (let changes = 0; changes <= Math.min(matchedMax, old.length + fresh.length); changes += 1) {
    history.push(new Map(furthest));
    for (let diagonal = -changes; diagonal <= changes; diagonal += 2) {
      let x = isDown(furthest, diagonal, changes)
        ? (furthest.get(diagonal + 1) ?? 0)
        : (furthest.get(diagonal - 1) ?? 0) + 1;
      while (x < old.length && x - diagonal < fresh.length && old[x] === fresh[x - diagonal]) x += 1;
      furthest.set(diagonal, x);
      if (x >= old.length && x - diagonal >= fresh.length) return wayBack(history, old.length, fresh.length);
    }
  }
  return undefined;
}

function isDown(furthest: ReadonlyMap<number, number>, diagonal: number, changes: number): boolean {
  if (diagonal === -changes) return true;
  return diagonal !== changes && (furthest.get(diagonal - 1) ?? -1) < (furthest.get(diagonal + 1) ?? -1);
}

/** From the end to the beginning; `history` holds how far each diagonal had come before each change. */
function wayBack(history: readonly ReadonlyMap<number, number>[], oldCount: number, freshCount: number) {
  const kinds: Step["kind"][] = [];
  let [x, y] = [oldCount, freshCount];
  for (let changes = history.length - 1; changes > 0; changes -= 1) {
    const furthest = history[changes] as ReadonlyMap<number, number>;
    const down = isDown(furthest, x - y, changes);
    const diagonal = down ? x - y + 1 : x - y - 1;
    const from = furthest.get(diagonal) ?? 0;
    for (const changedAt = down ? from : from + 1; x > changedAt; x -= 1) kinds.push(" ");
    kinds.push(down ? "+" : "-");
    [x, y] = [from, from - diagonal];
  }
  for (; x > 0; x -= 1) kinds.push(" ");
  return kinds.toReversed();
}

function stepsBetween(before: string, after: string): Step[] {
  const [old, fresh] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(old.length, fresh.length) - head && old.at(-1 - tail) === fresh.at(-1 - tail)) tail += 1;
  const [oldMiddle, freshMiddle] = [old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail)];
  const way = shortestWay(oldMiddle, freshMiddle) ?? [
    ...oldMiddle.map(() => "-" as const),
    ...freshMiddle.map(() => "+" as const),
  ];
  const kinds: Step["kind"][] = [
    ...Array.from({ length: head }, () => " " as const),
    ...way,
    ...Array.from({ length: tail }, () => " " as const),
  ];
  let [x, y] = [0, 0];
  return kinds.map((kind) => {
    const [lines, index] = kind === "+" ? [fresh, y] : [old, x];
    if (kind !== "+") x += 1;
    if (kind !== "-") y += 1;
    return { kind, text: lines[index] ?? "", previous: lines[index - 1] };
  });
}

/** Hunks as `diff -U2` prints them. */
export function describeChange(before: string, after: string): string[] {
  const steps = stepsBetween(before, after);
  const lines: string[] = [];
  let [oldLine, freshLine, at] = [1, 1, 0];
  while (at < steps.length) {
    const next = steps.findIndex(({ kind }, index) => index >= at && kind !== " ");
    if (next === -1) break;
    const start = Math.max(at, next - around);
    let end = next + 1;
    for (let index = next; index < steps.length && index < end + 2 * around; index += 1)
      if (steps[index]?.kind !== " ") end = index + 1;
    end = Math.min(steps.length, end + around);
    oldLine += start - at;
    freshLine += start - at;
    const hunk = steps.slice(start, end);
    const oldCount = hunk.filter(({ kind }) => kind !== "+").length;
    const freshCount = hunk.filter(({ kind }) => kind !== "-").length;
    lines.push(`@@ -${oldLine},${oldCount} +${freshLine},${freshCount} @@`);
    lines.push(...hunk.map(shown));
    oldLine += oldCount;
    freshLine += freshCount;
    at = end;
  }
  return lines;
}
