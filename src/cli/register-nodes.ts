/** `holdfast node run` for a machine that becomes a node, and `holdfast nodes …` for its gateway. */
import { Option, type Command } from "commander";
import { becomeKeeper } from "./become-keeper.ts";
import type { NodeOptions } from "./node.ts";
import type { InviteOptions, RunOptions } from "./nodes.ts";
import { collect, port, remotePort, whole, type Action } from "./registration.ts";

type NodeFlags = Omit<NodeOptions, "state" | "config" | "json" | "tier">;

const nodeWords = "name, id, or the first letters of the id, as shown by `nodes list`";

export function registerNodes(program: Command, action: Action): void {
  registerNode(program, action);
  const nodes = program.command("nodes").description("manage the machines that run things for this gateway");
  const load = () => import("./nodes.ts");
  const about = (name: string, description: string) =>
    nodes.command(name).description(description).argument("<node>", nodeWords);
  nodes
    .command("list")
    .description("list all known nodes")
    .action(action(async (context) => (await load()).listNodes(context, "all")));
  nodes
    .command("pending")
    .description("list the nodes that wait for approval")
    .action(action(async (context) => (await load()).listNodes(context, "pending")));
  about("describe", "show one node and its runs").action(
    action(async (context, node: string) => (await load()).describeNode(context, node)),
  );
  about("approve", "allow a node to run things from now on")
    .option("--name <name>", "its name here (default: the one it asks for)")
    .action(
      action(async (context, node: string, { name }: { name?: string }) =>
        (await load()).approveNode(context, node, name),
      ),
    );
  const decide = (verb: "reject" | "revoke", description: string) =>
    about(verb, description).action(
      action(async (context, node: string) => (await load()).decideNode(context, verb, node)),
    );
  decide("reject", "refuse a node, now and when it returns");
  decide("revoke", "withdraw an approval; the node's runs are ended, then its connection");
  about("forget", "remove an unapproved node from the list").action(
    action(async (context, node: string) => (await load()).forgetNode(context, node)),
  );
  about("rename", "give a node another name")
    .argument("<name>", "letters, digits, - and _")
    .action(action(async (context, node: string, name: string) => (await load()).renameNode(context, node, name)));
  nodes
    .command("invite")
    .description("print the one line that makes another machine a node of this gateway; it works once")
    .option("--name <name>", "name of the node")
    .option("--expires <when>", "90s, 30m, 12h, 30d, or a date", "24h")
    .option("--host <host>", "how the other machine reaches this gateway (default: an address of this machine)")
    .option("--port <n>", "at which port (default: the gateway's)", port)
    .action(action(async (context, flags: InviteOptions) => (await load()).inviteNode(context, flags)));
  about("run", "run a command on a node; its input, output, exit code and signals are this command's own")
    .argument("<command...>", "program and arguments, after --")
    .option("--pty", "run it in a terminal", false)
    .option("--cwd <directory>", "working directory on the node (default: its home directory)")
    .option("--env <name=value>", "add a variable; may be repeated", collect, [])
    .option("--timeout <ms>", "end it after this time", whole)
    .action(
      action(async (context, node: string, argv: string[], flags: RunOptions) =>
        (await load()).runOnNode(context, node, argv, flags),
      ),
    );
}

function registerNode(program: Command, action: Action): void {
  program
    .command("node")
    .description("make this machine a node of a gateway elsewhere")
    .command("run")
    .description("run things for one gateway, in the foreground; SIGTERM (Windows: Ctrl+Break) or ^C ends all of them")
    .requiredOption("--host <host>", "where the gateway is; beyond this machine always over TLS")
    .option("--port <n>", "its port", remotePort, 4653)
    .option("--name <name>", "name to ask for (default: the machine's name)")
    .option("--fingerprint <hex>", "SHA-256 of the gateway's certificate: accept no other")
    .option("--invite <code>", "an invitation, which replaces an admin's approval")
    .option("--once", "take one run, return its result, exit with its code", false)
    .option("--allow-command <name...>", "programs that may be started (default: any)")
    .option("--allow-directory <dir...>", "directories in or below which they may be started (default: any)")
    .addOption(
      new Option("--ask <when>", "ask at this terminal about what the lists do not allow").choices(["off", "on-miss"]),
    )
    .option("--lease-max <ms>", "how long a run may outlive its gateway at most (default: an hour)", whole)
    .option("--forget-gateway", "serve whichever gateway accepts this node next", false)
    .action(
      action(async ({ state: given, isDefaultState, config, json }, flags: NodeFlags) => {
        await becomeKeeper();
        const { node } = await import("./node.ts");
        // By default a node must not use the state directory of this machine's gateway.
        const state = isDefaultState === true ? `${given}-node` : given;
        return node({ ...flags, state, config, json, tier: process.env["HOLDFAST_TIER"] });
      }),
    );
}
