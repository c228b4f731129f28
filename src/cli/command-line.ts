/** The command line as commander knows it: names, options, help. Commands are imported when they are called. */
import { join, resolve } from "node:path";
import { Command, CommanderError, Option } from "commander";
import type { CommandContext } from "./context.ts";
import { addRuns } from "./register-runs.ts";
import { port, whole } from "./option-values.ts";
import { addNode } from "./register-node.ts";
import { addMcp } from "./register-mcp.ts";
import { addNodes } from "./register-nodes.ts";
import { addHints, plainHelp } from "./help.ts";
import { addConfigCommands } from "./register-clients.ts";
import { HoldfastError } from "../errors.ts";
import { homeDirectory } from "../home-directory.ts";
import { becomeAgain } from "../platform/self/index.ts";
import { version } from "../version.ts";

interface GlobalOptions {
  state: string;
  config?: string;
  json?: boolean;
  url?: string;
  token?: string;
}

interface GatewayFlags {
  port?: number;
  bind?: string[];
  tlsCert?: string;
  tlsKey?: string;
  strict?: boolean;
}

/** `$XDG_STATE_HOME/holdfast`, `~/.local/state/holdfast` by default. */
function defaultState(): string {
  return join(process.env["XDG_STATE_HOME"] || join(homeDirectory(), ".local", "state"), "holdfast");
}

/** A variable that is set to nothing names no directory and no file; `resolve` would make the current directory of it. */
function forgetEmptyVariables(): void {
  for (const name of ["HOLDFAST_STATE", "HOLDFAST_CONFIG", "HOLDFAST_URL", "HOLDFAST_TOKEN"])
    if (process.env[name] === "") delete process.env[name];
}

/** Runs one command; returns the exit code: 0 done, 1 failed with a message on stderr, 2 wrong usage. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  let code = 0;
  forgetEmptyVariables();
  const program = makeProgram((result) => {
    code = result;
  });
  try {
    await program.parseAsync(argv);
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
    throw thrown;
  }
}

function makeProgram(onDone: (code: number) => void): Command {
  const program = new Command("holdfast")
    .description("A gateway for AI agents that does not lose hold of a process or a connection")
    .version(version)
    .exitOverride()
    .configureHelp(plainHelp)
    .addOption(new Option("--state <dir>", "state directory").env("HOLDFAST_STATE").default(defaultState()))
    .addOption(
      new Option("--config <file>", "config file (default: <state>/holdfast.json if there is one)").env(
        "HOLDFAST_CONFIG",
      ),
    )
    .addOption(new Option("--json", "print for programs"))
    .addOption(
      new Option("--url <url>", "gateway to speak to (default: the one of the state directory)").env("HOLDFAST_URL"),
    )
    // No default and no env here: commander would print a token from the environment in --help.
    .addOption(new Option("--token <token>", "bearer token (default: HOLDFAST_TOKEN, else <state>/token)"))
    .showHelpAfterError("(see `holdfast --help`)");
  const context = (command: Command) => {
    const options = command.optsWithGlobals<GlobalOptions>();
    const token = options.token ?? process.env["HOLDFAST_TOKEN"];
    return {
      state: resolve(options.state),
      json: options.json ?? false,
      ...(options.url === undefined ? {} : { url: options.url }),
      ...(token === undefined ? {} : { token }),
    };
  };
  addGateway(program, onDone);
  addNode(program, async (own, command) => {
    becomeKeeper();
    const { node } = await import("./node.ts");
    const { state: given, config, json = false } = command.optsWithGlobals<GlobalOptions>();
    // A node that has no state directory of its own named must not take the gateway's of this machine.
    const isDefault = command.parent?.parent?.getOptionValueSource("state") === "default";
    const state = resolve(isDefault ? `${given}-node` : given);
    onDone(await node({ ...own, state, config, json, tier: process.env["HOLDFAST_TIER"] }));
  });
  addClients(program, context, onDone);
  addConfigCommands(program, context, onDone);
  addHints(program);
  return program;
}

function addGateway(program: Command, onDone: (code: number) => void): void {
  program
    .command("gateway")
    .description("run the gateway in the foreground; SIGTERM or ^C ends it in order, a second one at once")
    .option("--port <n>", "port to listen on (default: 4653; 0 = any free one)", port)
    .option("--bind <address...>", "addresses to listen on (default: 127.0.0.1 and ::1); past loopback always over TLS")
    .option("--tls-cert <file>", "certificate, PEM; with --tls-key")
    .option("--tls-key <file>", "its key, PEM")
    .option("--strict", "refuse a config in which a server is unavailable (missing program, directory, variable)")
    .action(async (own: GatewayFlags, command: Command) => {
      becomeKeeper();
      const { gateway, findConfig } = await import("./gateway.ts");
      const options = command.optsWithGlobals<GlobalOptions>();
      const state = resolve(options.state);
      onDone(
        await gateway({ ...own, state, config: findConfig(state, options.config), tier: process.env["HOLDFAST_TIER"] }),
      );
    });
}

/**
 * Flags that exist on the command line only. The keeper must not have an inspector that a signal can open: another process
 * of this user could run code in it. The heap limits keep its memory flat: without them V8 grows it for a rush of sessions
 * and does not give it back.
 */
const keeperFlags = [
  "--disable-sigusr1",
  "--max-semi-space-size=1",
  "--max-old-space-size=256",
  "--disable-warning=ExperimentalWarning",
];

/** Replaces this process once by one with those flags; the pid stays. */
function becomeKeeper(): void {
  const missing = keeperFlags.filter((flag) => !process.execArgv.includes(flag));
  if (missing.length > 0) becomeAgain(missing);
}

type ContextOf = (command: Command) => CommandContext;

function addClients(program: Command, context: ContextOf, onDone: (code: number) => void): void {
  program
    .command("status")
    .description("the gateway's state: containment, memory, sessions, runs, crashes")
    .action(async (_: object, command: Command) => {
      const { status } = await import("./status.ts");
      onDone(await status(context(command)));
    });
  program
    .command("ps")
    .description("the ownership tree: session, run, processes")
    .option("--all", "ended runs too", false)
    .action(async (own: { all: boolean }, command: Command) => {
      const { ps } = await import("./ps.ts");
      onDone(await ps(context(command), own));
    });
  program
    .command("stop")
    .description("end the gateway in order and wait until it is gone; works without a front")
    .action(async (_: object, command: Command) => {
      const { stop } = await import("./stop.ts");
      onDone(await stop(context(command)));
    });
  program
    .command("restart")
    .description("replace the front; sessions and their servers go on")
    .option("--all", "end every run, then start the whole gateway again", false)
    .action(async (own: { all: boolean }, command: Command) => {
      const { restart } = await import("./restart.ts");
      onDone(await restart(context(command), own));
    });
  program
    .command("crashes")
    .description("what died, when and why; works without a gateway")
    .action(async (_: object, command: Command) => {
      const { crashes } = await import("./crashes.ts");
      onDone(await crashes(context(command)));
    });
  addSessions(program, context, onDone);
  addTokens(program, context, onDone);
  addRuns(program, context, onDone);
  addNodes(program, context, onDone);
  addDoctor(program, onDone);
  addMcp(program, context, onDone);
  // Taken by main.ts before this parser; here for --help only.
  program
    .command("run")
    .description("run a command whose tree cannot outlive its caller: holdfast run -- COMMAND…")
    .argument("[words...]")
    .allowUnknownOption()
    .action(() => {
      // main.ts takes every other `run`, so a global option stands before this one.
      throw new HoldfastError(
        "usage",
        "run takes no global options: holdfast run [OPTION]... -- COMMAND [ARGUMENT]...",
      );
    });
}

function addTokens(program: Command, context: ContextOf, onDone: (code: number) => void): void {
  const tokens = program
    .command("tokens")
    .description("who may call the gateway, and with which rights; works without a gateway");
  tokens
    .command("add")
    .description("make a token and print it; it is shown only once")
    .argument("<name>", "small letters, digits and -")
    .option("--scopes <list>", "read, run, admin; admin includes the others", "run")
    .option("--expires <when>", "90s, 30m, 12h, 30d, or a date (default: never)")
    .action(async (name: string, own: { scopes: string; expires?: string }, command: Command) => {
      const { addTokenCommand } = await import("./tokens.ts");
      onDone(await addTokenCommand(context(command), name, own));
    });
  tokens
    .command("list")
    .description("every token, without its secret")
    .action(async (_: object, command: Command) => {
      const { listTokens } = await import("./tokens.ts");
      onDone(await listTokens(context(command)));
    });
  tokens
    .command("revoke")
    .description("end a token; its connections are closed at once")
    .argument("<name>", "as `tokens list` shows it")
    .action(async (name: string, _: object, command: Command) => {
      const { revokeTokenCommand } = await import("./tokens.ts");
      onDone(await revokeTokenCommand(context(command), name));
    });
}

function addDoctor(program: Command, onDone: (code: number) => void): void {
  program
    .command("doctor")
    .description(
      "what leaks on this machine: every MCP server tree of any host, and whose it is; changes nothing without --reap",
    )
    .option("--port <n>", "also show the sockets of this local TCP port, with the process at each end", port)
    .option("--all", "show every tree with everything known about it", false)
    .option("--reap", "end the trees whose owner is proven dead, after asking", false)
    .option("--yes", "with --reap: do not ask", false)
    .action(async (own: { port?: number; all: boolean; reap: boolean; yes: boolean }, command: Command) => {
      const { doctor } = await import("./doctor.ts");
      const { state, json = false } = command.optsWithGlobals<GlobalOptions>();
      onDone(await doctor({ ...own, state: resolve(state), json }));
    });
  program
    .command("selftest")
    .description(
      "try attacks and every way an owner can end on this machine, and report what was held; needs no gateway",
    )
    .option("--time-limit <s>", "seconds for the whole test; what has not run by then counts as failed", whole, 120)
    .action(async (own: { timeLimit: number }, command: Command) => {
      const { selftest } = await import("./selftest.ts");
      const { json = false } = command.optsWithGlobals<GlobalOptions>();
      onDone(await selftest({ timeLimitSeconds: own.timeLimit, json }));
    });
}

function addSessions(program: Command, context: ContextOf, onDone: (code: number) => void): void {
  const sessions = program.command("sessions").description("list and end the sessions of clients");
  sessions
    .command("list")
    .description("every open session")
    .action(async (_: object, command: Command) => {
      const { listSessions } = await import("./sessions.ts");
      onDone(await listSessions(context(command)));
    });
  sessions
    .command("end")
    .description("end a session and all it owns; done when nothing of it is left")
    .argument("<id>", "as `sessions list` shows it")
    .action(async (id: string, _: object, command: Command) => {
      const { endSession } = await import("./sessions.ts");
      onDone(await endSession(context(command), id));
    });
}
