/** How figures look to people. */
import { plainJson, plainText } from "../plain-text.ts";

export function printJson(value: unknown): void {
  process.stdout.write(`${plainJson(JSON.stringify(value, null, 2))}\n`);
}

/** A process may call itself, and a node may say, what it likes: nothing of it steers the terminal. */
export function printLines(lines: string[]): void {
  process.stdout.write(lines.map((line) => `${plainText(line)}\n`).join(""));
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

/** `3 h 12 min`, `45 s`, `< 1 s`: the two largest units that say something. */
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
