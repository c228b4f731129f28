/** What this process was given by its caller, as the bytes it was: Node shows what is not UTF-8 as U+FFFD. */
import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

/** The pieces of a file in which each ends with a NUL. */
function pieces(path: string): Buffer[] {
  const bytes = readFileSync(path);
  const found: Buffer[] = [];
  for (let at = 0, end; at < bytes.length; at = end + 1) {
    end = bytes.indexOf(0, at);
    if (end === -1) end = bytes.length;
    found.push(bytes.subarray(at, end));
  }
  return found;
}

/** The last `count` arguments of this process. */
export function ownArguments(count: number): Buffer[] {
  return count === 0 ? [] : pieces("/proc/self/cmdline").slice(-count);
}

/** Whether these arguments of this process are what it was given: Node shows U+FFFD for bytes that are not UTF-8. */
export function areReadable(words: string[]): boolean {
  if (!words.some((word) => word.includes("\uFFFD"))) return true;
  try {
    return isUtf8(readFileSync("/proc/self/cmdline"));
  } catch {
    return true; // no procfs: nobody can tell
  }
}

/** What Node shows for bytes that are not UTF-8; how many of them differs between its decoders. */
const unreadable = /\uFFFD+/g;
const shown = (text: string) => text.replaceAll(unreadable, "\uFFFD");

/**
 * The environment as this process has it now: entries that it was started with keep their bytes, order and duplicates, and
 * what was changed in process.env since is as it is there.
 */
export function ownEnvironment(): Buffer[] {
  const now = new Map(Object.entries(process.env));
  const seen = new Set<string>();
  const changed = new Set<string>();
  const kept = pieces("/proc/self/environ").filter((entry) => {
    const text = entry.toString();
    const at = text.indexOf("=", 1);
    const name = text.slice(0, at);
    // Node has no variable for an entry without a "=", and cannot look up a name that it cannot show.
    if (at === -1 || name.includes("\uFFFD")) return true;
    if (!seen.has(name) && shown(now.get(name) ?? "\0") !== shown(text.slice(at + 1))) changed.add(name);
    seen.add(name);
    return !changed.has(name);
  });
  const added = [...now].flatMap(([name, value]) =>
    value === undefined || name.includes("\uFFFD") || (seen.has(name) && !changed.has(name))
      ? []
      : [Buffer.from(`${name}=${value}`)],
  );
  return [...kept, ...added];
}

/** The signals that a program may be told to ignore by its caller, except those that shells ignore for themselves. */
const heritable = { HUP: 1, INT: 2, USR1: 10, USR2: 12, PIPE: 13, ALRM: 14 };
export type IgnorableSignal = keyof typeof heritable;
const shells = /^(?:ba|da|a|z|k|mk|ya|fi)?sh$|^busybox$/;

function firstMatch(path: string, pattern: RegExp): string | undefined {
  try {
    return pattern.exec(readFileSync(path, "latin1"))?.[1];
  } catch {
    return undefined; // the caller is gone, outside of this pid namespace, or another user's
  }
}

/**
 * The signals that the caller had set to "ignore". Node sets them back before any script runs, so this is found out from
 * what is left of it: a calling shell that ignores a signal itself (`trap '' HUP`), and the name under which a shell
 * started nohup. What another program than a shell had ignored is not seen.
 */
export function ignoredByCaller(): IgnorableSignal[] {
  const caller = `/proc/${process.ppid}`;
  const isShell = shells.test(firstMatch(`${caller}/comm`, /^(.*)$/m) ?? "");
  const mask = isShell ? BigInt(`0x${firstMatch(`${caller}/status`, /^SigIgn:\s*([0-9a-f]+)$/m) ?? "0"}`) : 0n;
  const isNohup = basename(process.env["_"] ?? "") === "nohup";
  const all = Object.entries(heritable) as [IgnorableSignal, number][];
  return all
    .filter(([name, number]) => ((mask >> BigInt(number - 1)) & 1n) === 1n || (name === "HUP" && isNohup))
    .map(([name]) => name);
}
