/** Commands for background runs: exec, process, attach, logs. */
import { Option, type Command } from "commander";
import type { ExecOptions } from "./exec.ts";
import type { ProcessOptions } from "./process.ts";
import { collect, offset, whole, type Action } from "./registration.ts";

export function registerRuns(program: Command, action: Action): void {
  registerExec(program, action);
  registerProcess(program, action);
  program
    .command("attach")
    .description("show a run's terminal here; C-] detaches, and the run continues")
    .argument("<run>", "as shown by `process list`")
    .option("--detach-key <key>", "a key with Ctrl, such as C-a (default: C-])")
    .action(
      action(async (context, id: string, { detachKey }: { detachKey?: string }) =>
        (await import("./attach.ts")).attach(context, id, { detachKey }),
      ),
    );
  program
    .command("logs")
    .description("print the output of a run, even after its end")
    .argument("<run>", "as shown by `process list --all`")
    .option("-f, --follow", "wait for more until the run ends", false)
    .option("--tail <bytes>", "only this many bytes from the end", whole)
    .action(
      action(async (context, id: string, flags: { follow: boolean; tail?: number }) =>
        (await import("./logs.ts")).logs(context, id, flags),
      ),
    );
}

function registerExec(program: Command, action: Action): void {
  program
    .command("exec")
    .description("run a command that the gateway holds; requires exec.enabled in the config")
    .argument("<command...>", "program and arguments, after --")
    .option("--background", "print the run's id and return at once", false)
    .option("--pty", "run it in a terminal", false)
    .option("--scope <key>", "a name of your choice for the run")
    .option("--replace", "first end the run that has the same scope", false)
    .option("--timeout <ms>", "end it after this time", whole)
    .option("--no-output-timeout <ms>", "end it when it prints nothing for this time; 0 = never", whole)
    .option("--max-lifetime <ms>", "end it and everything it left behind after this time", whole)
    .addOption(
      new Option("--on-front-loss <what>", "what happens to it when the front dies")
        .choices(["keep", "kill"])
        .default("keep"),
    )
    .option("--keep <ms>", "how long it continues without a front", whole)
    .addOption(
      new Option("--descendants <what>", "what happens to processes that the command leaves behind")
        .choices(["reap", "keep-until-scope-ends"])
        .default("reap"),
    )
    .option("--host <name>", "where to run it: a node, or ssh:user@host if exec.allowHosts names it", "local")
    .option("--cwd <directory>", "working directory (default: the current one)")
    .option("--env <name=value>", "add a variable; may be repeated", collect, [])
    .option("--session <id>", "end it with this session")
    .option("--limit-pids <n>", "end it when it has more processes than this", whole)
    .option("--limit-memory <bytes>", "end it when it uses more memory than this", whole)
    .action(
      action(async (context, argv: string[], flags: ExecOptions) =>
        (await import("./exec.ts")).exec(context, argv, flags),
      ),
    );
}

function registerProcess(program: Command, action: Action): void {
  const group = program.command("process").description("list, read, control and end background runs");
  group
    .command("list")
    .description("list background runs")
    .option("--all", "include ended runs", false)
    .action(
      action(async (context, flags: ProcessOptions) => (await import("./process.ts")).processList(context, flags)),
    );
  const add = (name: string, description: string, ...words: string[]): Command => {
    const command = group.command(name).description(description).argument("<run>", "as shown by `process list`");
    for (const word of words) command.argument(word);
    return command.action(
      action(async (context, id: string, ...rest: unknown[]) => {
        const flags = rest.at(-2) as ProcessOptions;
        const given = rest.slice(0, -2).flat() as (string | undefined)[];
        const present = given.filter((word) => word !== undefined);
        return (await import("./process.ts")).processOperation(context, name, id, present, flags);
      }),
    );
  };
  const from = "first byte; negative: counted from the end";
  add("poll", "show its state and its output as text")
    .option("--offset <n>", from, offset)
    .option("--wait <ms>", "wait this long for more", whole)
    .option("--screen", "show the content of its terminal");
  add("log", "print its output, at most --limit bytes")
    .option("--offset <n>", from, offset)
    .option("--limit <bytes>", "default: 65536", whole);
  add("write", "send it text", "[text...]")
    .option("--hex", "the text is pairs of hex digits")
    .option("--end", "close its stdin afterwards");
  add("send-keys", "press keys: Enter, C-c, Up, a", "<keys...>").option("--literal", "send the words as they are");
  add("submit", "type a line and press Enter", "[text...]");
  add("paste", "paste text", "<text...>").option("--bare", "never bracketed, even if the program asked for it");
  add("resize", "change the size of its terminal", "<columns>", "<rows>");
  add(
    "signal",
    "send a signal to all its processes; on Windows SIGTERM, SIGINT and SIGHUP are Ctrl+Break",
    "<signal>",
  ).option("--command", "only to the command itself");
  add("kill", "end it; returns when all of it is gone").option("--now", "without the graces");
  add("clear", "forget it after its end");
  add("remove", "end it if it is running, and forget it");
  add("wait", "wait until all of it is gone").option("--wait <ms>", "at most this long", whole);
}
