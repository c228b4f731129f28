/** Commands for the MCP servers of the gateway, and for the config files of its clients. */
import { resolve } from "node:path";
import { Option, type Command } from "commander";
import { clientNames, type ClientName } from "../config/clients/places.ts";
import type { McpOptions } from "./mcp.ts";
import { collect, seconds, type Action } from "./registration.ts";
import type { AddOptions } from "./servers.ts";

interface FileFlags {
  client?: ClientName;
  yes?: boolean;
  dryRun?: boolean;
  gateway?: boolean;
}

const clientOption = (what = "only this client") => new Option("--client <name>", what).choices(clientNames);

export function registerServers(program: Command, action: Action): void {
  const mcp = program
    .command("mcp")
    .description("serve all MCP servers of the gateway as one over stdio, for any client's config")
    .option("--server <name>", "one server, with its own tool names (default: all)")
    .option("--parent <session>", "end together with this session")
    .option("--no-pump", "stay a Node.js process (40 MB) instead of becoming a pump (28 KB)")
    .allowExcessArguments()
    .action(
      action(async (context, flags: McpOptions, command: Command) => {
        const [word] = command.args;
        if (word === undefined) return (await import("./mcp.ts")).mcp(context, flags);
        const known = command.commands.map((one) => one.name()).join(", ");
        return command.error(`error: unknown command 'mcp ${word}'; known: ${known}`);
      }),
    );
  registerList(mcp, action);
  registerServerState(mcp, action);
  registerLogin(mcp, action);
  registerList(program, action);
  registerWrap(program, action);
  program
    .command("import")
    .description("copy the servers of a client's config into holdfast.json")
    .argument("[file]", "a client's config file")
    .addOption(clientOption())
    .option("--dry-run", "show what would be copied, write nothing")
    .action(
      action(async (context, file: string | undefined, flags: FileFlags) => {
        const { importFiles } = await import("./servers.ts");
        return importFiles(context, chosen(file, flags), flags.dryRun ?? false);
      }),
    );
  program
    .command("export")
    .description("print the servers of holdfast.json in a client's format")
    .addOption(clientOption("the client").makeOptionMandatory())
    .action(
      action(async (context, { client }: { client: ClientName }) =>
        (await import("./servers.ts")).exportTo(context, client),
      ),
    );
  program
    .command("connect")
    .description("print, for each client, the line that connects it to the gateway")
    .addOption(clientOption())
    .action(action(async (context, { client }: FileFlags) => (await import("./connect.ts")).connect(context, client)));
}

/** Under `holdfast mcp` and, for short, directly under `holdfast`. */
function registerList(parent: Command, action: Action): void {
  parent
    .command("add")
    .description("add a server to holdfast.json and to the running gateway: add NAME -- COMMAND [ARGUMENT]...")
    .argument("<name>", "any name; it is served under letters, digits, - and _, at most 32")
    .argument("[command...]", "after --, the command and its arguments")
    .option("--url <url>", "a remote server instead of a command")
    .addOption(new Option("--type <type>", "transport of --url (default: http)").choices(["http", "sse"]))
    .option("--header <name: value>", "for --url; may be repeated", collect, [])
    .option("--env <name=value>", "for a command; may be repeated", collect, [])
    .option("--cwd <dir>", "working directory of the command")
    .action(
      action(
        async (context, name: string, words: string[], flags: Omit<AddOptions, "command" | "url">, self: Command) => {
          const url = givenUrl(self);
          const options = { ...flags, command: words, ...(url === undefined ? {} : { url }) };
          return (await import("./servers.ts")).addServer(context, name, options);
        },
      ),
    );
  parent
    .command("remove")
    .description("remove a server from holdfast.json; a running gateway ends it")
    .argument("<name>", "as shown by `list`")
    .action(action(async (context, name: string) => (await import("./servers.ts")).removeServer(context, name)));
  parent
    .command("list")
    .description("list the servers of holdfast.json")
    .action(action(async (context) => (await import("./servers.ts")).listServers(context)));
}

/** The program's own --url, which names a gateway, takes the value before the subcommand sees it. */
function givenUrl(command: Command): string | undefined {
  let program = command;
  while (program.parent !== null) program = program.parent;
  return program.getOptionValueSource("url") === "cli" ? program.opts<{ url?: string }>().url : undefined;
}

function registerServerState(mcp: Command, action: Action): void {
  mcp
    .command("reload")
    .description("let the running gateway read its config again; unchanged servers continue")
    .action(action(async (context) => (await import("./mcp-servers.ts")).mcpReload(context)));
  mcp
    .command("status")
    .description("show every configured server and how its last starts went")
    .action(action(async (context) => (await import("./mcp-servers.ts")).mcpStatus(context)));
  mcp
    .command("probe")
    .description("start one server, show what it offers, and end it")
    .argument("<name>")
    .option("--timeout <seconds>", "time for the server; its own limits come first", seconds, 600)
    .action(
      action(async (context, name: string, { timeout }: { timeout: number }) =>
        (await import("./mcp-servers.ts")).mcpProbe(context, name, timeout * 1000),
      ),
    );
  mcp
    .command("refresh")
    .description("let the next start install the packages of resolveNpx again")
    .argument("[name]")
    .action(
      action(async (context, name: string | undefined) => (await import("./mcp-servers.ts")).mcpRefresh(context, name)),
    );
}

function registerLogin(mcp: Command, action: Action): void {
  mcp
    .command("login")
    .description("log in at a remote server (OAuth): prints the address to open and waits for the browser")
    .argument("<name>")
    .option("--timeout <seconds>", "time for the person in the browser", seconds, 300)
    .action(
      action(async (context, name: string, { timeout }: { timeout: number }) =>
        (await import("./mcp-login.ts")).mcpLogin(context, name, timeout * 1000),
      ),
    );
  mcp
    .command("logout")
    .description("revoke the tokens of a login and forget them")
    .argument("<name>")
    .action(action(async (context, name: string) => (await import("./mcp-login.ts")).mcpLogout(context, name)));
}

function registerWrap(program: Command, action: Action): void {
  const fileCommand = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .argument("[file]", "a client's config file (default: those of all clients here)")
      .addOption(clientOption())
      .option("--yes", "write without asking")
      .option("--dry-run", "show the change, write nothing");
  fileCommand("wrap", "put `holdfast run --` before the servers in a client's config")
    .option("--gateway", "move the servers to the gateway and leave one entry that connects to it")
    .action(
      action(async (context, file: string | undefined, flags: FileFlags) => {
        const { wrap } = await import("./wrap.ts");
        return wrap(context, { ...chosen(file, flags), gateway: flags.gateway ?? false });
      }),
    );
  fileCommand("unwrap", "undo `wrap`").action(
    action(async (context, file: string | undefined, flags: FileFlags) =>
      (await import("./wrap.ts")).unwrap(context, chosen(file, flags)),
    ),
  );
}

function chosen(file: string | undefined, { client, yes = false, dryRun = false }: FileFlags) {
  return {
    ...(file === undefined ? {} : { file: resolve(file) }),
    ...(client === undefined ? {} : { client }),
    yes,
    dryRun,
  };
}
