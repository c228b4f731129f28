/** The part of the command line that changes config files, the clients' and Holdfast's own. */
import { resolve } from "node:path";
import { Option, type Command } from "commander";
import type { CommandContext } from "./context.ts";
import { addServerCommands, ownFile } from "./register-servers.ts";
import { clientNames, type ClientName } from "../config/clients/places.ts";

type ContextOf = (command: Command) => CommandContext;
type Done = (code: number) => void;

interface Choice {
  client?: ClientName;
  yes?: boolean;
  dryRun?: boolean;
  gateway?: boolean;
}

const clientOption = () => new Option("--client <name>", "this client only").choices(clientNames);

/** The state directory, when it is not the default one: then a client's line must name it. */
function stateOption(context: CommandContext, command: Command): string | undefined {
  let program = command;
  while (program.parent !== null) program = program.parent;
  return program.getOptionValueSource("state") === "default" ? undefined : context.state;
}

export function addConfigCommands(program: Command, context: ContextOf, onDone: Done): void {
  addWrap(program, context, onDone);
  addTransfer(program, context, onDone);
  addServerCommands(program, context, onDone);
  program
    .command("connect")
    .description("print the line for each client that leads it to the gateway")
    .addOption(clientOption())
    .action(async ({ client }: Choice, command: Command) => {
      const { connect } = await import("./connect.ts");
      onDone(connect(context(command), client, stateOption(context(command), command)));
    });
  program
    .command("completion")
    .description("print a completion script for a shell")
    .argument("<shell>", "bash, zsh or fish")
    .action(async (shell: string, _: object, command: Command) => {
      const { completion, shells } = await import("./completion.ts");
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
      const { wrap } = await import("./wrap.ts");
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
      const { unwrap } = await import("./wrap.ts");
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
      const { importFiles } = await import("./servers.ts");
      const here = context(command);
      onDone(await importFiles(here, await ownFile(here, command), chosen(file, own), own.dryRun ?? false));
    });
  program
    .command("export")
    .description("print the servers of holdfast.json in a client's form")
    .addOption(clientOption().makeOptionMandatory())
    .action(async ({ client }: { client: ClientName }, command: Command) => {
      const { exportTo } = await import("./servers.ts");
      onDone(exportTo(await ownFile(context(command), command), client));
    });
}
