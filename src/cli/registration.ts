/** What every registration shares: actions that return an exit code, values checked as they are read, hints in the help. */
import { Help, InvalidArgumentError, type Command, type HelpConfiguration } from "commander";
import type { CommandContext } from "./context.ts";

/**
 * Makes commander's action of a command: `run` receives the context, then arguments, options and the command as commander
 * passes them, and returns the exit code. It imports the command's module, so that no other command is loaded.
 */
export type Action = (run: Run) => (...given: unknown[]) => Promise<void>;

/** Each declares what its command's arguments and options are. */
type Run = (context: CommandContext, ...given: never[]) => Promise<number> | number;

export function whole(text: string): number {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value > 2_147_483_647)
    throw new InvalidArgumentError("It must be a whole number, at most 2147483647.");
  return value;
}

/** Negative: counted from the end. */
export function offset(text: string): number {
  return text.startsWith("-") ? -whole(text.slice(1)) : whole(text);
}

export function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError("A port is a whole number from 0 to 65535.");
  return value;
}

/** Of a gateway that is listening somewhere. */
export function remotePort(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    throw new InvalidArgumentError("A port is a whole number from 1 to 65535.");
  return value;
}

export function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 86_400)) throw new InvalidArgumentError("It must be seconds, from 1 to 86400.");
  return value;
}

/** For an option that may be repeated. */
export const collect = (text: string, before: string[]): string[] => [...before, text];

/** Common mistakes, by command. */
const ownHints: Record<string, string> = {
  add: "a command's own options come after --: holdfast add NAME -- COMMAND -y …",
  "mcp add": "a command's own options come after --: holdfast mcp add NAME -- COMMAND -y …",
  exec: "a command's own options come after --: holdfast exec -- COMMAND -y …",
  "nodes run": "a command's own options come after --: holdfast nodes run NODE -- COMMAND -y …",
};

/** Without defaults that only say that nothing was given. */
export const plainHelp: HelpConfiguration = {
  optionDescription: (option) => new Help().optionDescription(option).replace(/ ?\(default: (?:\[\]|false)\)$/, ""),
};

/** Ends the help of every command, and the message after a mistake, with a line of its own. */
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
