/**
 * Reads what `launchctl print` prints. Apple calls the form no interface, so little is asked of it: lines `name = value` with one
 * tab, blocks with two, and names of jobs at the ends of lines. Linear, over bounded text.
 */
import { constants } from "node:os";
import type { MainExit } from "../types.ts";

/** One job of launchd. */
export interface JobState {
  /** Of its main process; undefined: it does not run. */
  readonly pid: number | undefined;
  /** Of its last main process; undefined: none has ended, or the form is unknown. */
  readonly exit: MainExit | undefined;
  readonly coalition: bigint | undefined;
  /** launchd's own word, such as "running" or "spawn scheduled". */
  readonly state: string;
}

const textCharsMax = 4 * 1024 * 1024;
const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** `78: EX_CONFIG` and `Killed: 9`, and bare numbers. */
function numberIn(value: string | undefined): number | undefined {
  const digits = /^(?:[^:\d]{0,40}: )?(\d{1,9})(?::|$)/.exec(value ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function exitIn(fields: ReadonlyMap<string, string>): MainExit | undefined {
  const signal = signalNames.get(numberIn(fields.get("last terminating signal")) ?? 0);
  if (signal !== undefined) return { code: null, signal: signal as NodeJS.Signals };
  const code = numberIn(fields.get("last exit code"));
  return code === undefined ? undefined : { code, signal: null };
}

/** Of `launchctl print <domain>/<label>`. */
export function readJob(text: string): JobState {
  const fields = new Map<string, string>();
  let block = "";
  let coalition: bigint | undefined;
  for (const line of text.slice(0, textCharsMax).split("\n")) {
    if (/^\t[^\t}].* = \{$/.test(line)) block = line.slice(1, -4);
    else if (line === "\t}") block = "";
    const [name = "", value] = line.trim().split(" = ", 2);
    if (value === undefined) continue;
    if (block === "" && /^\t[^\t]/.test(line) && !fields.has(name)) fields.set(name, value);
    if (block === "resource coalition" && name === "ID" && /^\d{1,19}$/.test(value)) coalition = BigInt(value);
  }
  const pid = numberIn(fields.get("pid"));
  return {
    pid: pid === 0 ? undefined : pid,
    exit: exitIn(fields),
    coalition,
    state: fields.get("state") ?? "unknown",
  };
}

/** Every name of a job that begins with `prefix`, in `launchctl print <domain>` or `launchctl list`. */
export function labelsIn(text: string, prefix: string): string[] {
  const found = new Set<string>();
  for (const line of text.slice(0, textCharsMax).split("\n")) {
    const label = line.trimEnd().slice(Math.max(line.trimEnd().lastIndexOf("\t"), line.trimEnd().lastIndexOf(" ")) + 1);
    if (label.startsWith(prefix) && /^[\w.-]{1,200}$/.test(label)) found.add(label);
  }
  return [...found];
}
