/** Formats results: lines, columns and figures for people, JSON for programs. */
import { createRequire } from "node:module";
import { plainJson, plainText } from "../plain-text.ts";

export function printJson(value: unknown): void {
  process.stdout.write(`${plainJson(JSON.stringify(value, null, 2))}\n`);
}

/** Texts of processes and nodes are untrusted, so terminal controls are removed. */
export function printLines(lines: readonly string[]): void {
  printPainted(lines.map(plainText));
}

/** For lines with our own colours; foreign text in them must already be plain. */
export function printPainted(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

/** A view with plain text only, for other programs' data. */
export function plainView<T>(view: T): T {
  const plain = (_key: string, value: unknown) => (typeof value === "string" ? plainText(value) : value);
  return JSON.parse(JSON.stringify(view), plain) as T;
}

const require = createRequire(import.meta.url);

/** Width in terminal columns. */
function widthOf(text: string): number {
  // string-width takes 100 ms to load, which plain ASCII avoids.
  if (/^[ -~]*$/.test(text)) return text.length;
  const { default: stringWidth } = require("string-width") as typeof import("string-width");
  return stringWidth(text);
}

/** Pads every cell to the width of its column. */
export function align(rows: readonly (readonly string[])[]): string[][] {
  const plain = rows.map((row) => row.map(plainText));
  const widths: number[] = [];
  for (const row of plain)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
  return plain.map((row) => row.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - widthOf(cell))));
}

/** Rows as lines, with two spaces between the columns. */
export function table(rows: readonly (readonly string[])[]): string[] {
  return align(rows).map((cells) => cells.join("  ").trimEnd());
}

/** Indented labels and values; a row with an empty label continues the one above. */
export function labelled(rows: readonly (readonly [label: string, value: string])[]): string[] {
  return table(rows).map((line) => `  ${line}`);
}

export function megabytes(bytes: number): string {
  const value = bytes / (1024 * 1024);
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} MB`;
}

const units: [string, number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
];

/** `3 h 12 min`, `45 s`, `< 1 s`: the two largest relevant units. */
export function duration(ms: number): string {
  const at = units.findIndex(([, size]) => ms >= size);
  const [name, size] = units[at] ?? ["", 0];
  if (at === -1) return "< 1 s";
  const [nextName, nextSize] = units[at + 1] ?? ["", Number.POSITIVE_INFINITY];
  const rest = Math.floor((ms % size) / nextSize);
  return `${Math.floor(ms / size)} ${name}${rest > 0 ? ` ${rest} ${nextName}` : ""}`;
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** Local time to the second, as `2026-11-21 10:05:09`. */
export function time(ms: number): string {
  return new Date(ms).toLocaleString("sv-SE");
}
