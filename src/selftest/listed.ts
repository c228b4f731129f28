/**
 * The processes of a case, from the list they write themselves, looked up by the system's witness instead of what is
 * tested.
 */
import { readFileSync } from "node:fs";
import { systemClock } from "../clock.ts";
import { platform } from "../platform/index.ts";

export interface Listed {
  pid: number;
  startTime: string;
  role: string;
}

/** Quiet time before a list is counted, since a chain may still grow. */
const quietMs = 15;
const lookMs = 5;

export function readListed(file: string): Listed[] {
  return readFileSync(file, "latin1")
    .split("\n")
    .filter((line) => /^\d+ \d+(?:\.\d+)? \S+$/.test(line))
    .map((line) => {
      const [pid = "", startTime = "", role = ""] = line.split(" ");
      return { pid: Number(pid), startTime, role };
    });
}

const survivorsOf = (file: string): Listed[] => readListed(file).filter(platform.witness.isLive);

/** Waits until every listed process is gone, except the excused; resolves with the rest after `boundMs`. */
export async function settle(file: string, boundMs: number, excused: readonly string[]): Promise<Listed[]> {
  const end = systemClock.monotonic() + boundMs;
  let quietSince = systemClock.monotonic();
  let count = 0;
  for (;;) {
    const listed = readListed(file);
    if (listed.length !== count) quietSince = systemClock.monotonic();
    count = listed.length;
    const survivors = listed.filter(platform.witness.isLive);
    const isOver = survivors.every(({ role }) => excused.includes(role));
    if ((isOver && systemClock.monotonic() - quietSince >= quietMs) || systemClock.monotonic() > end) return survivors;
    await systemClock.sleep(lookMs);
  }
}

/** Ends leftovers of a case, in rounds, since a chain may still grow. */
export async function killListed(file: string): Promise<void> {
  for (let round = 0; round < 50; round += 1) {
    const survivors = survivorsOf(file);
    if (survivors.length === 0) return;
    for (const survivor of survivors) platform.signal(survivor, "SIGKILL");
    await systemClock.sleep(lookMs);
  }
}
