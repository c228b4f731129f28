/**
 * The processes of a case, from the list that they write themselves. Whether they live is asked
 * of the system's witness, and not of what is tested.
 */
import { readFileSync } from "node:fs";
import { systemClock } from "../clock.ts";
import { platform } from "../platform/index.ts";

export interface Listed {
  pid: number;
  startTime: string;
  role: string;
}

/** How long nothing may be added to a list that is being counted: a chain of processes may still grow. */
const quietMs = 15;
const lookMs = 5;

export function readListed(file: string): Listed[] {
  return readFileSync(file, "latin1")
    .split("\n")
    .filter((line) => /^\d+ \d+ \S+$/.test(line))
    .map((line) => {
      const [pid = "", startTime = "", role = ""] = line.split(" ");
      return { pid: Number(pid), startTime, role };
    });
}

const survivorsOf = (file: string): Listed[] => readListed(file).filter(platform.witness.isLive);

/** Waits until nobody of the list lives, the excused ones aside; resolves with those who do after `boundMs`. */
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

/** Ends what a case left behind. A chain may go on while it is killed, hence the rounds. */
export async function killListed(file: string): Promise<void> {
  for (let round = 0; round < 50; round += 1) {
    const survivors = survivorsOf(file);
    if (survivors.length === 0) return;
    for (const survivor of survivors) platform.signal(survivor, "SIGKILL");
    await systemClock.sleep(lookMs);
  }
}
