/** Arguments, environment and signals from the caller, as raw bytes: Node shows invalid UTF-8 as U+FFFD. */
import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

/** The NUL-terminated pieces of a file. */
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

/** Whether Node shows these arguments unaltered: it replaces invalid UTF-8 with U+FFFD. */
export function areReadable(words: string[]): boolean {
  if (!words.some((word) => word.includes("\uFFFD"))) return true;
  try {
    return isUtf8(readFileSync("/proc/self/cmdline"));
  } catch {
    return true; // without procfs it cannot be verified
  }
}

/** Node's replacement for invalid UTF-8; the number of characters differs between its decoders. */
const unreadable = /\uFFFD+/g;
const shown = (text: string) => text.replaceAll(unreadable, "\uFFFD");

/**
 * The current environment of this process: original entries keep their bytes, order and duplicates; changes made in process.env
 * are applied.
 */
export function ownEnvironment(): Buffer[] {
  const now = new Map(Object.entries(process.env));
  const seen = new Set<string>();
  const changed = new Set<string>();
  const kept = pieces("/proc/self/environ").filter((entry) => {
    const text = entry.toString();
    const at = text.indexOf("=", 1);
    const name = text.slice(0, at);
    // Node has no variable for an entry without "=", and cannot look up a name that it cannot decode.
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

/** Signals that a caller may have set to "ignore", except those that shells ignore for themselves. */
const heritable = { HUP: 1, INT: 2, USR1: 10, USR2: 12, PIPE: 13, ALRM: 14 };
export type IgnorableSignal = keyof typeof heritable;
const shells = /^(?:ba|da|a|z|k|mk|ya|fi)?sh$|^busybox$/;

function firstMatch(path: string, pattern: RegExp): string | undefined {
  try {
    return pattern.exec(readFileSync(path, "latin1"))?.[1];
  } catch {
    return undefined; // the caller is gone, outside this pid namespace, or another user's
  }
}

/**
 * The signals that the caller had set to "ignore". Node resets them before any script runs, so they are inferred from a calling
 * shell that ignores a signal itself (`trap '' HUP`), and from the name under which a shell started nohup. Signals ignored by
 * other programs go undetected.
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
