/** The commander command line: global options, then the groups of commands. */
import { resolve } from "node:path";
import { Command, CommanderError, Option, type OutputConfiguration } from "commander";
import { stateDirectory } from "../platform/places.ts";
import { version } from "../version.ts";
import type { CommandContext } from "./context.ts";
import { registerGateway } from "./register-gateway.ts";
import { registerMachine } from "./register-machine.ts";
import { registerNodes } from "./register-nodes.ts";
import { registerRuns } from "./register-runs.ts";
import { registerServers } from "./register-servers.ts";
import { addHints, plainHelp, type Action } from "./registration.ts";

interface GlobalOptions {
  state: string;
  config?: string;
  json?: boolean;
  url?: string;
  token?: string;
}

/** Drops empty variables; `resolve` would turn them into the current directory. */
function forgetEmptyVariables(): void {
  for (const name of ["HOLDFAST_STATE", "HOLDFAST_CONFIG", "HOLDFAST_URL", "HOLDFAST_TOKEN"])
    if (process.env[name] === "") delete process.env[name];
}

/** Runs one command; returns the exit code: 0 done, 1 failed with a message on stderr, 2 wrong usage. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  let code = 0;
  forgetEmptyVariables();
  const program: Command = makeProgram((run) => async (...given) => {
    code = await run(contextOf(program), ...(given as never[]));
  });
  try {
    await program.parseAsync(argv);
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
    throw thrown;
  }
}

/** All commands; `action` runs the chosen one. */
export function makeProgram(action: Action, output: OutputConfiguration = {}): Command {
  const program = new Command("holdfast")
    .configureOutput(output)
    .description("A gateway for AI agents that does not lose hold of a process or a connection")
    .version(version)
    .exitOverride()
    .configureHelp(plainHelp)
    .addOption(new Option("--state <dir>", "state directory").env("HOLDFAST_STATE").default(stateDirectory()))
    .addOption(
      new Option("--config <file>", "config file (default: <state>/holdfast.json if it exists)").env("HOLDFAST_CONFIG"),
    )
    .addOption(new Option("--json", "print for programs"))
    .addOption(
      new Option("--url <url>", "gateway to call (default: the one of the state directory)").env("HOLDFAST_URL"),
    )
    // No default and no env here: commander would print a token from the environment in --help.
    .addOption(new Option("--token <token>", "bearer token (default: HOLDFAST_TOKEN, else <state>/token)"))
    .showHelpAfterError("(see `holdfast --help`)");
  registerGateway(program.commandsGroup("The gateway:"), action);
  registerServers(program.commandsGroup("MCP servers and their clients:"), action);
  registerRuns(program.commandsGroup("Background runs:"), action);
  registerNodes(program.commandsGroup("Other machines:"), action);
  registerMachine(program.commandsGroup("This machine, without a gateway:"), action);
  program.commandsGroup("More:");
  addHints(program);
  return program;
}

function contextOf(program: Command): CommandContext {
  const { state, config, json = false, url, token = process.env["HOLDFAST_TOKEN"] } = program.opts<GlobalOptions>();
  return {
    state: resolve(state),
    isDefaultState: program.getOptionValueSource("state") === "default",
    json,
    ...(config === undefined ? {} : { config: resolve(config) }),
    ...(url === undefined ? {} : { url }),
    ...(token === undefined ? {} : { token }),
  };
}
