/** Translates other clients' keys: other names, other units, and settings that concern only the client. */
import { basename } from "node:path";
import type { ClientName } from "./places.ts";

/** Keys with another name or unit here. */
const renamed = new Map<string, [key: string, factor: number]>([
  ["startup_timeout_sec", ["connectionTimeoutMs", 1000]],
  ["startup_timeout_ms", ["connectionTimeoutMs", 1]],
  ["connectionTimeoutMs", ["connectionTimeoutMs", 1]],
  ["tool_timeout_sec", ["requestTimeoutMs", 1000]],
  ["requestTimeoutMs", ["requestTimeoutMs", 1]],
]);

const same = new Map<string, string>([
  ["command", "command"],
  ["args", "args"],
  ["cwd", "cwd"],
  ["workingDirectory", "cwd"],
  ["url", "url"],
  ["httpUrl", "url"],
  ["serverUrl", "url"],
  ["headers", "headers"],
  ["http_headers", "headers"],
]);

/** Client-only settings, by what they control; Holdfast ignores them. */
const clientsOwn = new Map<string, string>([
  ["autoApprove", "which tools run without asking"],
  ["alwaysAllow", "which tools run without asking"],
  ["trust", "which tools run without asking"],
  ["tools", "which tools the client uses"],
  ["includeTools", "which tools the client uses"],
  ["excludeTools", "which tools the client uses"],
  ["enabled_tools", "which tools the client uses"],
  ["disabled_tools", "which tools the client uses"],
  ["disabledTools", "which tools the client uses"],
  ["description", "a description"],
  ["icon", "a picture"],
]);

/** Clients with `timeout` in milliseconds; docs/clients.md gives the source. */
const countMilliseconds = new Set<ClientName | undefined>(["claude", "copilot", "gemini"]);
/** Files and keys of Cline and its forks (Roo Code, Kilo Code), which use seconds. */
const secondsFiles = new Set(["cline_mcp_settings.json", "mcp_settings.json"]);
const secondsKeys = ["autoApprove", "alwaysAllow"];
/** Longest `timeout` of those clients, in seconds; for an unknown client a larger value is read as milliseconds. */
const secondsMax = 3600;

export function renamedKey(key: string): [key: string, factor: number] | undefined {
  return renamed.get(key);
}

export function sameKey(key: string): string | undefined {
  return same.get(key);
}

/** The note on a key that is not imported. */
export function leftOutNote(key: string): string {
  const what = clientsOwn.get(key);
  return what === undefined
    ? `${key} is not known to Holdfast and was left out`
    : `${key} (${what}) is the client's own setting and was left out`;
}

/** `timeout` in milliseconds, with a note where the unit was guessed. */
export function timeoutOf(
  value: number,
  raw: Readonly<Record<string, unknown>>,
  file: string,
  client: ClientName | undefined,
): { ms: number; note?: string } {
  if (countMilliseconds.has(client)) return { ms: Math.round(value) };
  const isCline = secondsFiles.has(basename(file)) || secondsKeys.some((key) => Object.hasOwn(raw, key));
  if (isCline) return { ms: Math.round(value * 1000) };
  const [factor, unit] = value <= secondsMax ? [1000, "seconds"] : [1, "milliseconds"];
  return {
    ms: Math.round(value * factor),
    note: `timeout: ${value} was read as ${unit}; correct requestTimeoutMs if it is not`,
  };
}
