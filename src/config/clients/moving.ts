/** What changes for a server when the gateway starts it instead of the client: where it is started, and what is installed there. */
import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { findProgram } from "../program.ts";

/** One line each, for people; nothing for a remote server, or one whose words only the gateway's environment fills in. */
export function movingNotes(server: Readonly<Record<string, unknown>>): string[] {
  const { command, args, cwd, env, enabled } = server;
  if (typeof command !== "string" || JSON.stringify(server).includes("${")) return [];
  const directory = typeof cwd === "string" ? cwd : undefined;
  if (directory === undefined || !isAbsolute(directory)) {
    const words = Array.isArray(args) ? args.map(String) : [];
    const isProgram = command.includes("/") && !isAbsolute(command);
    const relative = directory ?? (isProgram ? command : words.find(isRelativePath));
    if (relative !== undefined)
      return [
        `${relative} is relative to where the client starts it, and would be to where the gateway runs; write it whole, or add "cwd"`,
      ];
  }
  const own = (env as Record<string, unknown> | undefined)?.["PATH"];
  const path = typeof own === "string" ? own : (process.env["PATH"] ?? "");
  if (enabled === false || findProgram(command, directory ?? process.cwd(), path) !== undefined) return [];
  return [
    `${command} is not a program that can be run here: a gateway refuses its config until it is installed, or the server has "enabled": false`,
  ];
}

/** Said by its dots, or by being there. */
function isRelativePath(word: string): boolean {
  if (/^\.{1,2}(?:\/|$)/.test(word)) return true;
  return !isAbsolute(word) && !word.startsWith("-") && /[./]/.test(word) && existsSync(word);
}
