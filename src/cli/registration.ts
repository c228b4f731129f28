/** Shared by all registrations: actions that return an exit code, value parsers, hints in the help. */
import { Help, InvalidArgumentError, type Command, type HelpConfiguration } from "commander";
import type { CommandContext } from "./context.ts";

/**
 * Makes a command's commander action: `run` receives the context, then arguments, options and the command as commander
 * passes them, and returns the exit code. It imports its own module, so that other commands stay unloaded.
 */
export type Action = (run: Run) => (...given: unknown[]) => Promise<void>;

/** Each declares the types of its arguments and options. */
type Run = (context: CommandContext, ...given: never[]) => Promise<number> | number;

export function whole(text: string): number {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value > 2_147_483_647)
    throw new InvalidArgumentError("It must be a whole number, at most 2147483647.");
  return value;
}

/** Negative values count from the end. */
export function offset(text: string): number {
  return text.startsWith("-") ? -whole(text.slice(1)) : whole(text);
}

/** Digits only: `Number` also reads nothing at all (an unset variable in a script) as 0, and 0x50 as 80. */
function decimal(text: string): number {
  return /^\d{1,10}(?:\.\d{1,10})?$/.test(text) ? Number(text) : Number.NaN;
}

export function port(text: string): number {
  const value = decimal(text);
  if (!Number.isInteger(value) || value > 65_535)
    throw new InvalidArgumentError("A port is a whole number from 0 to 65535.");
  return value;
}

/** A port to connect to. */
export function remotePort(text: string): number {
  const value = decimal(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    throw new InvalidArgumentError("A port is a whole number from 1 to 65535.");
  return value;
}

export function seconds(text: string): number {
  const value = decimal(text);
  if (!(value >= 1 && value <= 86_400)) throw new InvalidArgumentError("It must be seconds, from 1 to 86400.");
  return value;
}

/** For a repeatable option. */
export const collect = (text: string, before: string[]): string[] => [...before, text];

/** Common mistakes, by command. */
const ownHints: Record<string, string> = {
  add: "a command's own options come after --: holdfast add NAME -- COMMAND -y …",
  "mcp add": "a command's own options come after --: holdfast mcp add NAME -- COMMAND -y …",
  exec: "a command's own options come after --: holdfast exec -- COMMAND -y …",
  "nodes run": "a command's own options come after --: holdfast nodes run NODE -- COMMAND -y …",
};

/** Hides defaults that only mean "not given". */
export const plainHelp: HelpConfiguration = {
  optionDescription: (option) => new Help().optionDescription(option).replace(/ ?\(default: (?:\[\]|false)\)$/, ""),
};

/** Adds a hint to the help of every command and to messages after mistakes. */
export function addHints(program: Command, path = ""): void {
  for (const command of program.commands) {
    const own = `${path} ${command.name()}`.trim();
    command.showHelpAfterError(`(${ownHints[own] ?? `see \`holdfast ${own} --help\``})`);
    if (command.commands.length === 0)
      command.addHelpText(
        "after",
        "\nGlobal options: --state, --config, --json, --url, --token (see `holdfast --help`)",
      );
    addHints(command, own);
  }
}
