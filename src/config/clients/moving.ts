/** What changes for a server when the gateway starts it instead of the client: where it is started, and what is installed there. */
import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";

/** One line each, for people; nothing for a remote server, or one whose words only the gateway's environment fills in. */
export function movingNotes(server: Readonly<Record<string, unknown>>): string[] {
  const { command, args, cwd } = server;
  if (typeof command !== "string" || JSON.stringify(server).includes("${")) return [];
  const directory = typeof cwd === "string" ? cwd : undefined;
  if (directory !== undefined && isAbsolute(directory)) return [];
  const words = Array.isArray(args) ? args.map(String) : [];
  const isProgram = command.includes("/") && !isAbsolute(command);
  const relative = directory ?? (isProgram ? command : words.find(isRelativePath));
  if (relative === undefined) return [];
  return [
    `${relative} is relative to where the client starts it, and would be to where the gateway runs; write the full path, or add "cwd"`,
  ];
}

/** Said by its dots, or by being there. */
function isRelativePath(word: string): boolean {
  if (/^\.{1,2}(?:\/|$)/.test(word)) return true;
  return !isAbsolute(word) && !word.startsWith("-") && /[./]/.test(word) && existsSync(word);
}
