/** Shows a text change to a person: a unified diff without a file header, with likely secrets covered. */
import { structuredPatch, type StructuredPatchHunk } from "diff";
import { coverLine } from "./secrets.ts";

/** Longest shown line, since one of a minified file would fill the screen. */
const columnsMax = 240;
/** Unchanged lines shown around a change. */
const context = 2;
/** Matching takes time quadratic in the changes, so a rewritten file is shown as removed and added. */
const matchMsMax = 1000;

function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/** Hunks in the format of `diff -U2`. */
export function describeChange(before: string, after: string): string[] {
  const [old, fresh] = [linesOf(before), linesOf(after)];
  // Every line gets the same ending, so that the end of the file is no separate change.
  const [oldText, freshText] = [old, fresh].map((lines) => lines.map((line) => `${line}\n`).join("")) as [
    string,
    string,
  ];
  const patch = structuredPatch("", "", oldText, freshText, "", "", { context, timeout: matchMsMax });
  return (patch?.hunks ?? [wholeHunk(old, fresh)]).flatMap((hunk) => describeHunk(hunk, old, fresh));
}

function wholeHunk(old: readonly string[], fresh: readonly string[]): StructuredPatchHunk {
  const lines = [...old.map((line) => `-${line}`), ...fresh.map((line) => `+${line}`)];
  return { oldStart: 1, oldLines: old.length, newStart: 1, newLines: fresh.length, lines };
}

function describeHunk(hunk: StructuredPatchHunk, old: readonly string[], fresh: readonly string[]): string[] {
  const { oldStart, oldLines, newStart, newLines, lines } = hunk;
  let [oldAt, freshAt] = [oldStart - 1, newStart - 1];
  const shown = lines.map((line) => {
    const kind = line.charAt(0);
    // The line above may name the option whose secret value this line is.
    const covered = coverLine(line.slice(1), kind === "+" ? fresh[freshAt - 1] : old[oldAt - 1]);
    if (kind !== "+") oldAt += 1;
    if (kind !== "-") freshAt += 1;
    return (
      kind +
      (covered.length <= columnsMax ? covered : `${covered.slice(0, columnsMax)} … (${covered.length} characters)`)
    );
  });
  return [`@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`, ...shown];
}
