/** Variables as Windows has them: names are case-insensitive, and a block of UTF-16 text sorted by name starts a process. */
import type { Environment } from "../types.ts";

/** Without these a process cannot load the system's own libraries, sockets included. */
const required = ["SystemDrive", "SystemRoot", "windir"];

/** The name as Windows compares it: unit by unit, so letters without a single capital stay (`ß`). */
export function foldName(name: string): string {
  return Array.from({ length: name.length }, (_, at) => {
    const unit = name.charAt(at);
    const upper = unit.toUpperCase();
    return upper.length === 1 ? upper : unit;
  }).join("");
}

/** The value of a variable, whatever the case of its name; of several spellings the last one counts. */
export function variableOf(variables: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  const folded = foldName(name);
  const spelling = Object.keys(variables).findLast(
    (each) => foldName(each) === folded && variables[each] !== undefined,
  );
  return spelling === undefined ? undefined : variables[spelling];
}

/** One entry per variable: of several spellings of a name the last one counts, with its spelling. */
export function mergeVariables(
  ...layers: readonly Readonly<Record<string, string | undefined>>[]
): Record<string, string> {
  const merged = new Map<string, [name: string, value: string]>();
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer))
      if (value !== undefined) merged.set(foldName(name), [name, value]);
  }
  return Object.fromEntries(merged.values());
}

/** Whole `NAME=value` entries as variables. A name may begin with `=`, as those of a drive's directory do. */
export function variablesFrom(environment: Environment): Readonly<Record<string, string>> {
  if (!Array.isArray(environment)) return environment as Readonly<Record<string, string>>;
  const entries = (environment as readonly Uint8Array[]).map((bytes) => new TextDecoder().decode(bytes));
  return Object.fromEntries(
    entries.flatMap((entry) => {
      const at = entry.indexOf("=", 1);
      return at < 0 ? [] : [[entry.slice(0, at), entry.slice(at + 1)]];
    }),
  );
}

/**
 * The `lpEnvironment` of CreateProcessW, for CREATE_UNICODE_ENVIRONMENT: `NAME=value` entries in the order of their folded
 * names, each ended by a NUL, with one more at the end. What the system requires comes from `own` where it is missing.
 * Entries that the form cannot hold (an empty name, `=` inside a name, a NUL) are left out.
 */
export function environmentBlock(
  environment: Environment,
  own: Readonly<Record<string, string | undefined>> = process.env,
): Buffer {
  const system = Object.fromEntries(required.map((name) => [name, variableOf(own, name)]));
  const entries = Object.entries(mergeVariables(system, variablesFrom(environment)))
    .filter(([name, value]) => name !== "" && !name.includes("=", 1) && !`${name}${value}`.includes("\0"))
    .map(([name, value]) => ({ folded: foldName(name), text: `${name}=${value}\0` }))
    .toSorted((a, b) => (a.folded < b.folded ? -1 : 1));
  const text = entries.map((entry) => entry.text).join("");
  // An empty block still has both of its NULs.
  return Buffer.from(`${text}${text === "" ? "\0" : ""}\0`, "utf16le");
}
