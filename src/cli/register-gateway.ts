/** Commands for the gateway itself: start, stop, inspect, sessions, tokens. */
import type { Command } from "commander";
import { becomeKeeper } from "./become-keeper.ts";
import type { GatewayOptions } from "./gateway.ts";
import { port, type Action } from "./registration.ts";
import type { AddOptions } from "./tokens.ts";

type GatewayFlags = Omit<GatewayOptions, "state" | "config" | "tier">;

export function registerGateway(program: Command, action: Action): void {
  program
    .command("gateway")
    .description(
      "run the gateway in the foreground; SIGTERM (Windows: Ctrl+Break) or ^C stops it in order, a second one at once",
    )
    .option("--port <n>", "port to listen on (default: 4653; 0 = any free port)", port)
    .option(
      "--bind <address...>",
      "addresses to listen on (default: 127.0.0.1 and ::1); beyond loopback always over TLS",
    )
    .option("--tls-cert <file>", "certificate (PEM); requires --tls-key")
    .option("--tls-key <file>", "private key of the certificate (PEM)")
    .option("--strict", "refuse a config with an unavailable server (missing program, directory or variable)")
    .action(
      action(async ({ state, config }, flags: GatewayFlags) => {
        await becomeKeeper();
        const { gateway, findConfig } = await import("./gateway.ts");
        return gateway({ ...flags, state, config: findConfig(state, config), tier: process.env["HOLDFAST_TIER"] });
      }),
    );
  program
    .command("status")
    .description("show the gateway's state: containment, memory, sessions, runs, crashes")
    .action(action(async (context) => (await import("./status.ts")).status(context)));
  program
    .command("ps")
    .description("show who owns what: sessions, their runs, their processes")
    .option("--all", "include ended runs", false)
    .action(action(async (context, flags: { all: boolean }) => (await import("./ps.ts")).ps(context, flags)));
  program
    .command("stop")
    .description("stop the gateway in order and wait until it is gone; works without a front")
    .action(action(async (context) => (await import("./stop.ts")).stop(context)));
  program
    .command("restart")
    .description("replace the front; sessions and their servers continue")
    .option("--all", "end every run, then start the whole gateway again", false)
    .action(action(async (context, flags: { all: boolean }) => (await import("./restart.ts")).restart(context, flags)));
  program
    .command("crashes")
    .description("show what died, when and why; works without a gateway")
    .action(action(async (context) => (await import("./crashes.ts")).crashes(context)));
  registerSessions(program, action);
  registerTokens(program, action);
}

function registerSessions(program: Command, action: Action): void {
  const sessions = program.command("sessions").description("list and end the sessions of clients");
  sessions
    .command("list")
    .description("list all open sessions")
    .action(action(async (context) => (await import("./sessions.ts")).listSessions(context)));
  sessions
    .command("end")
    .description("end a session and everything it owns; returns when all of it is gone")
    .argument("<id>", "as shown by `sessions list`")
    .action(action(async (context, id: string) => (await import("./sessions.ts")).endSession(context, id)));
}

function registerTokens(program: Command, action: Action): void {
  const tokens = program
    .command("tokens")
    .description("manage who may call the gateway, with which rights; works without a gateway");
  tokens
    .command("add")
    .description("create a token and print it; it is shown only once")
    .argument("<name>", "lowercase letters, digits and -")
    .option("--scopes <list>", "comma-separated: read, run, admin; admin includes the others", "run")
    .option("--expires <when>", "90s, 30m, 12h, 30d, or a date (default: never)")
    .action(
      action(async (context, name: string, flags: AddOptions) =>
        (await import("./tokens.ts")).addTokenCommand(context, name, flags),
      ),
    );
  tokens
    .command("list")
    .description("list all tokens, without their secrets")
    .action(action(async (context) => (await import("./tokens.ts")).listTokens(context)));
  tokens
    .command("revoke")
    .description("revoke a token; its connections are closed at once")
    .argument("<name>", "as shown by `tokens list`")
    .action(action(async (context, name: string) => (await import("./tokens.ts")).revokeTokenCommand(context, name)));
}
