/** `add`, `remove` and `list` for the parser, below `holdfast mcp` and, for short, below `holdfast` itself. */
import { resolve } from "node:path";
import { Option, type Command } from "commander";
import type { CommandContext } from "./context.ts";

type ContextOf = (command: Command) => CommandContext;

interface AddFlags {
  header: string[];
  env: string[];
  cwd?: string;
  type?: string;
}

const collect = (value: string, all: string[]) => [...all, value];

/** The file that was named, else the one that the running gateway reads, else `<state>/holdfast.json`. */
export async function ownFile(context: CommandContext, command: Command): Promise<string> {
  const { config } = command.optsWithGlobals<{ config?: string }>();
  if (config !== undefined) return resolve(config);
  const { findKeeper } = await import("./running-keeper.ts");
  return findKeeper(context.state)?.config ?? resolve(context.state, "holdfast.json");
}

export function addServerCommands(parent: Command, context: ContextOf, onDone: (code: number) => void): void {
  parent
    .command("add")
    .description(
      "add a server to holdfast.json: add NAME -- COMMAND [ARGUMENT]..., or with --url; a running gateway takes it",
    )
    .argument("<name>", "any; served under letters, digits, - and _, at most 32")
    .argument("[command...]", "after --, the command and its arguments")
    .option("--url <url>", "a remote server instead of a command")
    .addOption(new Option("--type <type>", "transport of --url (default: http)").choices(["http", "sse"]))
    .option("--header <name: value>", "for --url; may be repeated", collect, [])
    .option("--env <name=value>", "may be repeated", collect, [])
    .option("--cwd <dir>", "working directory of the command")
    .action(async (name: string, words: string[], own: AddFlags, command: Command) => {
      const { addServer } = await import("./servers.ts");
      const here = context(command);
      const url = givenUrl(command);
      const options = { ...own, command: words, ...(url === undefined ? {} : { url }) };
      onDone(await addServer(here, await ownFile(here, command), name, options));
    });
  parent
    .command("remove")
    .description("take a server out of holdfast.json; a running gateway ends it")
    .argument("<name>", "as `list` shows it")
    .action(async (name: string, _: object, command: Command) => {
      const { removeServer } = await import("./servers.ts");
      const here = context(command);
      onDone(await removeServer(here, await ownFile(here, command), name));
    });
  parent
    .command("list")
    .description("the servers of holdfast.json")
    .action(async (_: object, command: Command) => {
      const { listServers } = await import("./servers.ts");
      const here = context(command);
      onDone(await listServers(here, await ownFile(here, command)));
    });
}

/** The program's own --url, which names a gateway elsewhere, takes the word before a command below it sees it. */
function givenUrl(command: Command): string | undefined {
  let program = command;
  while (program.parent !== null) program = program.parent;
  return program.getOptionValueSource("url") === "cli" ? command.optsWithGlobals<{ url?: string }>().url : undefined;
}
