/**
 * Counts survivors from the list that the fixtures write themselves. Nothing here asks Holdfast, its marker or its code:
 * a counter that shares a defect with what it counts would see nothing.
 */
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { patiently, until } from "./until.ts";

/** How long nobody may appear for a list to be quiet. */
const quietMs = 15;

/** One line of the list: "pid startTime role". The start time makes the pid mean one process and no later one. */
export interface Listed {
  pid: number;
  startTime: string;
  role: string;
}

/** State letter and start time of a process, or undefined when there is none. */
export function statOf(pid: number): { state: string; ppid: number; startTime: string } | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // there is no such process
  }
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "X", ppid: Number(fields[1]), startTime: fields[19] ?? "" };
}

/** Zombies are dead: they hold a number and nothing else, and init may reap late. */
export function isLive(process: { pid: number; startTime?: string }): boolean {
  const stat = statOf(process.pid);
  if (stat === undefined || stat.state === "Z" || stat.state === "X") return false;
  return process.startTime === undefined || process.startTime === stat.startTime;
}

/** Every live process for which the test is true of its environment; the caller's own user decides what can be read. */
export function pidsByEnvironment(test: (environment: string) => boolean): number[] {
  const found: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^[1-9]/.test(name)) continue;
    try {
      if (test(readFileSync(`/proc/${name}/environ`, "latin1")) && isLive({ pid: Number(name) }))
        found.push(Number(name));
    } catch {
      // It ended meanwhile, or it is not ours to read and so not ours at all.
    }
  }
  return found;
}

export function readListed(file: string): Listed[] {
  let text: string;
  try {
    text = readFileSync(file, "latin1");
  } catch {
    return []; // nobody wrote yet
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [pid, startTime, role] = line.split(" ");
      return { pid: Number(pid), startTime: startTime ?? "", role: role ?? "" };
    });
}

export function survivorsOf(file: string): Listed[] {
  return readListed(file).filter(isLive);
}

/** Resolves once the list has so many lines: only then is everything there that could survive. */
export async function waitForListed(file: string, count: number, boundMs: number): Promise<Listed[]> {
  return until(
    `${count} processes listed in ${file}`,
    () => (readListed(file).length >= count ? readListed(file) : undefined),
    {
      boundMs,
    },
  );
}

/**
 * Milliseconds until no listed process lives (but for the roles that are excused), or the bound, and who is left.
 * Never throws: the caller judges.
 */
export async function settle(
  file: string,
  boundMs: number,
  excused: string[] = [],
): Promise<{ ms: number; survivors: Listed[] }> {
  const began = performance.now();
  const isSettled = () => survivorsOf(file).every(({ role }) => excused.includes(role));
  try {
    // A tree in motion may be between one listed process and the next: quiet counts only when it lasts.
    for (let isQuiet = false; !isQuiet; isQuiet = isSettled()) {
      const passedMs = (performance.now() - began) / patiently(1);
      await until("no survivor", isSettled, { boundMs: boundMs - passedMs, everyMs: 2 });
      if (boundMs > 0) await delay(quietMs);
    }
  } catch {
    // Those who are left are the answer.
  }
  return { ms: Math.round(performance.now() - began - (boundMs > 0 ? quietMs : 0)), survivors: survivorsOf(file) };
}

/** Milliseconds until no listed process lives; throws with the roles of those who do. */
export async function waitForZero(file: string, boundMs: number): Promise<number> {
  const { ms, survivors } = await settle(file, boundMs);
  if (survivors.length === 0) return ms;
  const who = survivors.map((one) => `${one.role} (pid ${one.pid})`).join(", ");
  throw new Error(`${survivors.length} survivors after ${boundMs} ms: ${who}`);
}

/** Ends what is left, each by pid and start time, so that a failed check leaves nothing behind either. Returns how many. */
export async function killWhatIsLeft(file: string): Promise<number> {
  const left = survivorsOf(file);
  for (const { pid } of left) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended between the look and the signal.
    }
  }
  await waitForZero(file, 2000);
  return left.length;
}

const openLists = new Set<string>();

/** Remembers a list until it is disposed of, so that a program that is interrupted can still end what it started. */
export function rememberList(file: string): Disposable {
  openLists.add(file);
  return { [Symbol.dispose]: () => void openLists.delete(file) };
}

/** Ends what any remembered list still names. */
export async function killEveryList(): Promise<void> {
  await Promise.all([...openLists].map(killWhatIsLeft));
}
