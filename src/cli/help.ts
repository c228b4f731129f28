/** What the parser says of itself: where a mistake's remedy is, and which options hold everywhere. */
import { Help, type Command, type HelpConfiguration } from "commander";

/** What people trip over, by the command that they were at. */
const ownHints: Record<string, string> = {
  add: "a command's own options come after --: holdfast add NAME -- COMMAND -y …",
  "mcp add": "a command's own options come after --: holdfast mcp add NAME -- COMMAND -y …",
  exec: "a command's own options come after --: holdfast exec -- COMMAND -y …",
  "nodes run": "a command's own options come after --: holdfast nodes run NODE -- COMMAND -y …",
};

/** Without defaults that say no more than that nothing was given. */
export const plainHelp: HelpConfiguration = {
  optionDescription: (option) => new Help().optionDescription(option).replace(/ ?\(default: (?:\[\]|false)\)$/, ""),
};

/** Gives every command below the program its own last line, of its help and after a mistake. */
export function addHints(program: Command, path = ""): void {
  for (const command of program.commands) {
    const own = `${path} ${command.name()}`.trim();
    const hint = ownHints[own] ?? `see \`holdfast ${own} --help\``;
    command.showHelpAfterError(`(${hint})`);
    if (command.commands.length === 0)
      command.addHelpText(
        "after",
        "\nGlobal options: --state, --config, --json, --url, --token (see `holdfast --help`)",
      );
    addHints(command, own);
  }
}
