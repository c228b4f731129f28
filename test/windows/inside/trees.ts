/** The trees of attack.cjs, as suites inside start and count them. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const attack = join(import.meta.dirname, "..", "attack.cjs");

/** By another way than ours: libuv's. */
export function isLive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** What a tree has written into its file: pids, and how an escape went. */
export const linesOf = (file: string): string[] => readFileSync(file, "utf8").split("\n").filter(Boolean);

export const pidsIn = (file: string): number[] =>
  linesOf(file)
    .filter((line) => /^\d+$/.test(line))
    .map(Number);

/** A command of which each process adds itself to `file`, which it finds empty. It prints "ready" once all are there. */
export function hidingIn(file: string, name: string): { command: string; args: string[] } {
  writeFileSync(file, "");
  return { command: process.execPath, args: [attack, name, file] };
}
