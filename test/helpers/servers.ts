/** The MCP servers that tests and the demo put behind a gateway, and beside it behind the SDK's own transport. */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./tiers.ts";

export interface Server {
  command: string;
  args: string[];
  /** A call that stays open while the session is ended. */
  call?: { name: string; arguments: Record<string, unknown> };
  /** How many processes it lists in the pid file. */
  processes: number;
}

/** Part of the product, which plays it on its user's machine. */
export const attackScript = join(root, "src/selftest/attack.sh");

export const fixture = (name: string) => join(root, "test/fixtures", name);
const packaged = (path: string) => createRequire(import.meta.url).resolve(`@modelcontextprotocol/${path}`);
export const everythingFile = () => packaged("server-everything/dist/index.js");

export const everythingVersion = () =>
  (JSON.parse(readFileSync(packaged("server-everything/package.json"), "utf8")) as { version: string }).version;

/** Longer than any test; in seconds, as the tool wants it. */
const longCall = { name: "trigger-long-running-operation", arguments: { duration: 600, steps: 600 } };

/** Ignores the end of its stdin and every signal, with four helpers that hide. */
export function stubborn(pidFile: string): Server {
  const call = { name: "hang", arguments: {} };
  return { command: process.execPath, args: [fixture("stubborn-server.ts"), pidFile], call, processes: 5 };
}

/** A server that does not list itself, put into the list by a script that becomes it. */
function recorded(pidFile: string, role: string, words: string[]): Server {
  return { command: "sh", args: [fixture("record.sh"), pidFile, role, ...words], processes: 1 };
}

/** Costs next to nothing, where it does not matter whose server it is. */
export function light(pidFile: string): Server {
  return recorded(pidFile, "light", ["sh", fixture("light-server.sh")]);
}

export function everything(pidFile: string): Server {
  return { ...recorded(pidFile, "everything", [process.execPath, everythingFile(), "stdio"]), call: longCall };
}

export function filesystem(pidFile: string, directory: string): Server {
  return recorded(pidFile, "filesystem", [process.execPath, packaged("server-filesystem/dist/index.js"), directory]);
}

/** The shape of `mcpServers` in a config. */
export function asConfig(servers: Record<string, Server>): Record<string, { command: string; args: string[] }> {
  return Object.fromEntries(Object.entries(servers).map(([name, { command, args }]) => [name, { command, args }]));
}
