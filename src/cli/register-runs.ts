/** The commands for background runs as commander knows them: exec, process, attach, logs. */
import { Option, type Command } from "commander";
import type { CommandContext } from "./context.ts";
import type { ExecOptions } from "./exec.ts";
import { collect, whole } from "./option-values.ts";
import type { ProcessOptions } from "./process.ts";

type ContextOf = (command: Command) => CommandContext;
type OnDone = (code: number) => void;

/** Negative: counted from the end. */
function offset(text: string): number {
  return text.startsWith("-") ? -whole(text.slice(1)) : whole(text);
}

export function addRuns(program: Command, context: ContextOf, onDone: OnDone): void {
  addExec(program, context, onDone);
  addProcess(program, context, onDone);
  program
    .command("attach")
    .description("show a run's terminal here; C-] detaches, and the run goes on")
    .argument("<run>", "as `process list` shows it")
    .option("--detach-key <key>", "a key with Ctrl, such as C-a (default: C-])")
    .action(async (id: string, own: { detachKey?: string }, command: Command) => {
      const { attach } = await import("./attach.ts");
      onDone(await attach(context(command), id, { detachKey: own.detachKey }));
    });
  program
    .command("logs")
    .description("print the output of a run, also after its end")
    .argument("<run>", "as `process list --all` shows it")
    .option("-f, --follow", "wait for more until the run is over", false)
    .option("--tail <bytes>", "only this many bytes from the end", whole)
    .action(async (id: string, own: { follow: boolean; tail?: number }, command: Command) => {
      const { logs } = await import("./logs.ts");
      onDone(await logs(context(command), id, own));
    });
}

function addExec(program: Command, context: ContextOf, onDone: OnDone): void {
  program
    .command("exec")
    .description("run a command that the gateway holds; needs exec.enabled in the config")
    .argument("<command...>", "program and arguments, after --")
    .option("--background", "print the run's id and return at once", false)
    .option("--pty", "in a terminal", false)
    .option("--scope <key>", "a name that you choose for the run")
    .option("--replace", "first end what runs under the same scope", false)
    .option("--timeout <ms>", "end it after this time", whole)
    .option("--no-output-timeout <ms>", "end it when it prints nothing for this time; 0 = never", whole)
    .option("--max-lifetime <ms>", "end it and everything it left behind after this time", whole)
    .addOption(
      new Option("--on-front-loss <what>", "what happens to it when the front dies")
        .choices(["keep", "kill"])
        .default("keep"),
    )
    .option("--keep <ms>", "how long it goes on without a front", whole)
    .addOption(
      new Option("--descendants <what>", "what happens to processes that the command leaves behind")
        .choices(["reap", "keep-until-scope-ends"])
        .default("reap"),
    )
    .option("--host <name>", "where to run it: a node, or ssh:user@host if exec.allowHosts names it", "local")
    .option("--cwd <directory>", "working directory (default: the current one)")
    .option("--env <name=value>", "add a variable; may be given more than once", collect, [])
    .option("--session <id>", "end it with this session")
    .option("--limit-pids <n>", "end it when it has more processes than this", whole)
    .option("--limit-memory <bytes>", "end it when it uses more memory than this", whole)
    .action(async (argv: string[], own: ExecOptions, command: Command) => {
      const { exec } = await import("./exec.ts");
      onDone(await exec(context(command), argv, own));
    });
}

function addProcess(program: Command, context: ContextOf, onDone: OnDone): void {
  const group = program.command("process").description("list, read, control and end background runs");
  group
    .command("list")
    .description("background runs that have not ended")
    .option("--all", "ended runs too", false)
    .action(async (own: ProcessOptions, command: Command) => {
      const { processList } = await import("./process.ts");
      onDone(await processList(context(command), own));
    });
  const add = (name: string, description: string, ...words: string[]): Command => {
    const command = group.command(name).description(description).argument("<run>", "as `process list` shows it");
    for (const word of words) command.argument(word);
    return command.action(async (id: string, ...rest: unknown[]) => {
      const self = rest.pop() as Command;
      const own = rest.pop() as ProcessOptions;
      const given = rest
        .flat()
        .filter((word) => word !== undefined)
        .map(String);
      const { processOperation } = await import("./process.ts");
      onDone(await processOperation(context(self), name, id, given, own));
    });
  };
  add("poll", "its state and its output as text")
    .option("--offset <n>", "from this byte on; negative: this many before the end", offset)
    .option("--wait <ms>", "wait this long for more", whole)
    .option("--screen", "what its terminal shows");
  add("log", "its output, at most --limit bytes of it")
    .option("--offset <n>", "from this byte on; negative: this many before the end", offset)
    .option("--limit <bytes>", "default: 65536", whole);
  add("write", "send text to it", "[text...]")
    .option("--hex", "the text is pairs of hex digits")
    .option("--end", "close its stdin after it");
  add("send-keys", "type keys: Enter, C-c, Up, a", "<keys...>").option("--literal", "send the words as they are");
  add("submit", "type a line and Enter", "[text...]");
  add("paste", "paste text", "<text...>").option("--bare", "not bracketed, whatever the program asked for");
  add("resize", "give its terminal another size", "<columns>", "<rows>");
  add("signal", "send a signal to all of it", "<signal>").option("--command", "to the command only");
  add("kill", "end it; done when nothing of it is left").option("--now", "without the graces");
  add("clear", "forget it; it must have ended");
  add("remove", "end it if it lives, and forget it");
  add("wait", "until nothing of it is left").option("--wait <ms>", "at most this long", whole);
}
