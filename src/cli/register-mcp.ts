/** `holdfast mcp` and what is below it, for the parser; the commands themselves are imported when they are called. */
import { InvalidArgumentError, type Command } from "commander";
import type { CommandContext } from "./context.ts";
import type { McpOptions } from "./mcp.ts";
import { addServerCommands } from "./register-servers.ts";

type ContextOf = (command: Command) => CommandContext;

export function addMcp(program: Command, context: ContextOf, onDone: (code: number) => void): void {
  const servers = program
    .command("mcp")
    .description("an MCP server over stdio, for any client's config: all of the gateway's servers as one")
    .option("--server <name>", "one server, under its own names (default: all)")
    .option("--parent <session>", "the session that this one ends with")
    .option("--no-pump", "stay a Node process (40 MB) instead of becoming a pump (28 KB)")
    .allowExcessArguments()
    .action(async (options: McpOptions, command: Command) => {
      const [word] = command.args;
      if (word !== undefined) {
        const known = command.commands.map((one) => one.name()).join(", ");
        command.error(`error: unknown command 'mcp ${word}'; known: ${known}`);
      }
      const { mcp } = await import("./mcp.ts");
      onDone(await mcp(context(command), options));
    });
  addServerCommands(servers, context, onDone);
  servers
    .command("reload")
    .description("have the running gateway read its config again; unchanged servers go on")
    .action(async (_: object, command: Command) => {
      const { mcpReload } = await import("./reload.ts");
      onDone(await mcpReload(context(command)));
    });
  servers
    .command("status")
    .description("every configured server, and how its last starts went")
    .action(async (_: object, command: Command) => {
      const { mcpStatus } = await import("./mcp-servers.ts");
      onDone(await mcpStatus(context(command)));
    });
  servers
    .command("probe")
    .description("start one server for a look at what it offers, and end it")
    .argument("<name>")
    .option("--timeout <seconds>", "time for the server; its own limits come first", seconds, 600)
    .action(async (name: string, { timeout }: { timeout: number }, command: Command) => {
      const { mcpProbe } = await import("./mcp-servers.ts");
      onDone(await mcpProbe(context(command), name, timeout * 1000));
    });
  servers
    .command("refresh")
    .description("have the next start install again what resolveNpx runs without npx")
    .argument("[name]")
    .action(async (name: string | undefined, _: object, command: Command) => {
      const { mcpRefresh } = await import("./mcp-servers.ts");
      onDone(await mcpRefresh(context(command), name));
    });
  addLogin(servers, context, onDone);
}

function addLogin(servers: Command, context: ContextOf, onDone: (code: number) => void): void {
  const configOf = (command: Command) => command.optsWithGlobals<{ config?: string }>().config;
  servers
    .command("login")
    .description(
      "log in at a remote server (OAuth): prints the address to open, and waits for the browser to come back",
    )
    .argument("<name>")
    .option("--timeout <seconds>", "time for the person in the browser", seconds, 300)
    .action(async (name: string, { timeout }: { timeout: number }, command: Command) => {
      const { mcpLogin } = await import("./mcp-login.ts");
      onDone(await mcpLogin(context(command), configOf(command), name, timeout * 1000));
    });
  servers
    .command("logout")
    .description("withdraw the tokens of a login, and forget them")
    .argument("<name>")
    .action(async (name: string, _: object, command: Command) => {
      const { mcpLogout } = await import("./mcp-login.ts");
      onDone(await mcpLogout(context(command), name));
    });
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 1 && value <= 86_400)) throw new InvalidArgumentError("It takes seconds, from 1 to 86400.");
  return value;
}
