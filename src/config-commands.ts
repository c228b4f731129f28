/** The part of the command line that changes config files, the clients' and Holdfast's own. */
import { resolve } from "node:path";
import { Option, type Command } from "commander";
import type { CommandContext } from "./commands/context.ts";
import { clientNames, type ClientName } from "./config/clients/places.ts";

type ContextOf = (command: Command) => CommandContext;
type Done = (code: number) => void;

interface Choice {
  client?: ClientName;
  yes?: boolean;
  dryRun?: boolean;
  gateway?: boolean;
}

const clientOption = () => new Option("--client <name>", "this client only").choices(clientNames);
const collect = (value: string, all: string[]) => [...all, value];

/** The file that was named, else the one that the running gateway reads, else `<state>/holdfast.json`. */
async function ownFile(context: CommandContext, command: Command): Promise<string> {
  const { config } = command.optsWithGlobals<{ config?: string }>();
  if (config !== undefined) return resolve(config);
  const { findKeeper } = await import("./commands/running-keeper.ts");
  return findKeeper(context.state)?.config ?? resolve(context.state, "holdfast.json");
}

/** The state directory, when it is not the default one: then a client's line must name it. */
function stateOption(context: CommandContext, command: Command): string | undefined {
  let program = command;
  while (program.parent !== null) program = program.parent;
  return program.getOptionValueSource("state") === "default" ? undefined : context.state;
}

export function addConfigCommands(program: Command, context: ContextOf, onDone: Done): void {
  addWrap(program, context, onDone);
  addTransfer(program, context, onDone);
  addServers(program, context, onDone);
  program
    .command("connect")
    .description("print the line for each client that leads it to the gateway")
    .addOption(clientOption())
    .action(async ({ client }: Choice, command: Command) => {
      const { connect } = await import("./commands/connect.ts");
      onDone(connect(context(command), client, stateOption(context(command), command)));
    });
  program
    .command("completion")
    .description("print a completion script for a shell")
    .argument("<shell>", "bash, zsh or fish")
    .action(async (shell: string, _: object, command: Command) => {
      const { completion, shells } = await import("./commands/completion.ts");
      const known = shells.find((one) => one === shell);
      if (known === undefined)
        command.error(`error: there is no completion for ${shell}; there is for ${shells.join(", ")}`);
      process.stdout.write(completion(known, program));
      onDone(0);
    });
}

function addWrap(program: Command, context: ContextOf, onDone: Done): void {
  program
    .command("wrap")
    .description(
      "put `holdfast run --` before the servers in a client's config; without a file or client: of every client here",
    )
    .argument("[file]", "a client's config file")
    .addOption(clientOption())
    .option("--yes", "write without asking")
    .option("--dry-run", "show the change, write nothing")
    .option("--gateway", "move the servers to the gateway and leave one entry that leads there")
    .action(async (file: string | undefined, own: Choice, command: Command) => {
      const { wrap } = await import("./commands/wrap.ts");
      const here = context(command);
      const place = { configFile: await ownFile(here, command), stateOption: stateOption(here, command) };
      onDone(await wrap(here, { ...chosen(file, own), gateway: own.gateway ?? false }, place));
    });
  program
    .command("unwrap")
    .description("undo `wrap`")
    .argument("[file]", "a client's config file")
    .addOption(clientOption())
    .option("--yes", "write without asking")
    .option("--dry-run", "show the change, write nothing")
    .action(async (file: string | undefined, own: Choice, command: Command) => {
      const { unwrap } = await import("./commands/wrap.ts");
      onDone(await unwrap(context(command), chosen(file, own)));
    });
}

function chosen(file: string | undefined, { client, yes = false, dryRun = false }: Choice) {
  return {
    ...(file === undefined ? {} : { file: resolve(file) }),
    ...(client === undefined ? {} : { client }),
    yes,
    dryRun,
  };
}

function addTransfer(program: Command, context: ContextOf, onDone: Done): void {
  program
    .command("import")
    .description("take the servers of a client's config over into holdfast.json")
    .argument("[file]", "a client's config file")
    .addOption(clientOption())
    .option("--dry-run", "say what would be taken over, write nothing")
    .action(async (file: string | undefined, own: Choice, command: Command) => {
      const { importFiles } = await import("./commands/servers.ts");
      const here = context(command);
      onDone(importFiles(await ownFile(here, command), chosen(file, own), own.dryRun ?? false, here.json));
    });
  program
    .command("export")
    .description("print the servers of holdfast.json in a client's form")
    .addOption(clientOption().makeOptionMandatory())
    .action(async ({ client }: { client: ClientName }, command: Command) => {
      const { exportTo } = await import("./commands/servers.ts");
      onDone(exportTo(await ownFile(context(command), command), client));
    });
}

function addServers(program: Command, context: ContextOf, onDone: Done): void {
  program
    .command("add")
    .description("add a server to holdfast.json: holdfast add NAME -- COMMAND [ARGUMENT]..., or with --url")
    .argument("<name>", "letters, digits, - and _, at most 32")
    .argument("[command...]", "after --, the command and its arguments")
    .option("--url <url>", "a remote server instead of a command")
    .addOption(new Option("--type <type>", "transport of --url (default: http)").choices(["http", "sse"]))
    .option("--header <name: value>", "for --url; may be repeated", collect, [])
    .option("--env <name=value>", "may be repeated", collect, [])
    .option("--cwd <dir>", "working directory of the command")
    .showHelpAfterError("(a command's own options come after --: holdfast add NAME -- COMMAND -y …)")
    .action(
      async (
        name: string,
        words: string[],
        own: { header: string[]; env: string[]; cwd?: string; type?: string },
        command,
      ) => {
        const { addServer } = await import("./commands/servers.ts");
        // The program's own --url, which names a gateway elsewhere, takes the word before this command sees it.
        const url = (command as Command).parent?.getOptionValueSource("url") === "cli" ? urlOf(command) : undefined;
        const file = await ownFile(context(command), command);
        onDone(addServer(file, name, { ...own, command: words, ...(url === undefined ? {} : { url }) }));
      },
    );
  program
    .command("remove")
    .description("take a server out of holdfast.json")
    .argument("<name>", "as `list` shows it")
    .action(async (name: string, _: object, command: Command) => {
      const { removeServer } = await import("./commands/servers.ts");
      onDone(removeServer(await ownFile(context(command), command), name));
    });
  program
    .command("list")
    .description("the servers of holdfast.json")
    .action(async (_: object, command: Command) => {
      const { listServers } = await import("./commands/servers.ts");
      const here = context(command);
      onDone(listServers(await ownFile(here, command), here.json));
    });
}

function urlOf(command: Command): string | undefined {
  return command.optsWithGlobals<{ url?: string }>().url;
}
