/** `holdfast nodes` and what is below it, for the parser; the commands themselves are imported when they are called. */
import type { Command } from "commander";
import type { CommandContext } from "./context.ts";
import { collect, port, whole } from "./option-values.ts";
import type { InviteOptions, RunOptions } from "./nodes.ts";

type ContextOf = (command: Command) => CommandContext;
type OnDone = (code: number) => void;

const nodeWords = "name, id, or the first letters of the id, as `nodes list` shows them";

export function addNodes(program: Command, context: ContextOf, onDone: OnDone): void {
  const nodes = program.command("nodes").description("other machines that offer to run things here");
  const load = () => import("./nodes.ts");
  nodes
    .command("list")
    .description("every known node")
    .action(async (_: object, command: Command) => onDone(await (await load()).listNodes(context(command), "all")));
  nodes
    .command("pending")
    .description("nodes that wait for approval")
    .action(async (_: object, command: Command) => onDone(await (await load()).listNodes(context(command), "pending")));
  nodes
    .command("describe")
    .description("one node, and what it runs")
    .argument("<node>", nodeWords)
    .action(async (node: string, _: object, command: Command) => {
      onDone(await (await load()).describeNode(context(command), node));
    });
  nodes
    .command("approve")
    .description("let a node run things from now on")
    .argument("<node>", nodeWords)
    .option("--name <name>", "its name here (default: the one it asks for)")
    .action(async (node: string, own: { name?: string }, command: Command) => {
      onDone(await (await load()).approveNode(context(command), node, own.name));
    });
  const decide = (verb: "reject" | "revoke", description: string) =>
    nodes
      .command(verb)
      .description(description)
      .argument("<node>", nodeWords)
      .action(async (node: string, _: object, command: Command) => {
        onDone(await (await load()).decideNode(context(command), verb, node));
      });
  decide("reject", "refuse a node, now and when it comes again");
  decide("revoke", "take an approval back; what runs there is ended, and its connection with it");
  nodes
    .command("forget")
    .description("take a node that is not approved off the list")
    .argument("<node>", nodeWords)
    .action(async (node: string, _: object, command: Command) => {
      onDone(await (await load()).forgetNode(context(command), node));
    });
  nodes
    .command("rename")
    .description("give a node another name")
    .argument("<node>", nodeWords)
    .argument("<name>", "letters, digits, - and _")
    .action(async (node: string, name: string, _: object, command: Command) => {
      onDone(await (await load()).renameNode(context(command), node, name));
    });
  addInviteAndRun(nodes, context, onDone);
}

function addInviteAndRun(nodes: Command, context: ContextOf, onDone: OnDone): void {
  nodes
    .command("invite")
    .description("print the one line that makes another machine a node here; it works once")
    .option("--name <name>", "what the node is called")
    .option("--expires <when>", "90s, 30m, 12h, 30d, or a date", "24h")
    .option("--host <host>", "how the other machine reaches this gateway (default: an address of this machine)")
    .option("--port <n>", "the same, for the port", port)
    .action(async (own: InviteOptions, command: Command) => {
      const { inviteNode } = await import("./nodes.ts");
      onDone(await inviteNode(context(command), own));
    });
  nodes
    .command("run")
    .description("run a command on a node: its input, output, exit code and signals are this command's own")
    .argument("<node>", nodeWords)
    .argument("<command...>", "program and arguments, after --")
    .option("--pty", "in a terminal", false)
    .option("--cwd <directory>", "on the node (default: the node's home directory)")
    .option("--env <name=value>", "add a variable; may be given more than once", collect, [])
    .option("--timeout <ms>", "end it after this time", whole)
    .action(async (node: string, argv: string[], own: RunOptions, command: Command) => {
      const { runOnNode } = await import("./nodes.ts");
      onDone(await runOnNode(context(command), node, argv, own));
    });
}
