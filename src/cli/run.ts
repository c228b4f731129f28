/** `holdfast run -- <command>`: parsed by hand, for a fast start and so that the command keeps its own options. */
import { becomeGuard, requirePlatform } from "../platform/become.ts";
import { pathDefault, programProblem } from "../platform/program.ts";
import type { TreeLimits } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";

/** The MCP SDK kills its child 2 s after SIGTERM; our grace must end before. */
const termGraceMsDefault = 1000;

const help = `Usage: holdfast run [--term-grace MS] [--kill-with PID]
                    [--limit-pids N] [--limit-memory BYTES] -- COMMAND [ARGUMENT]...

Runs a command whose whole process tree cannot outlive its caller. Standard input, output and error are the
command's own; its exit code is passed on (128 + n for signal n). No gateway is needed.

The tree ends when the command ends, when the calling process dies in whatever way, and when this process is
signalled: SIGTERM, SIGINT and SIGHUP go to the whole tree, and what is left after the grace is killed. On Windows the
tree gets Ctrl+Break for Ctrl+C, Ctrl+Break and a closed console; where that cannot reach it, it is killed at once.

Options:
  --term-grace MS   from the signal to the kill, in milliseconds (default: ${termGraceMsDefault})
  --kill-with PID   end the tree when this process ends, too
  --limit-pids N    end the tree when it has more than N processes (looked at five times a second)
  --limit-memory BYTES
                    end the tree when its resident memory is more than that, in bytes
  -h, --help        print this

Exit codes: the command's own; 126 it cannot be run; 127 it is not there; 125 its cgroup could not be joined;
2 wrong usage; 1 nothing was started.
`;

interface RunOptions {
  termGraceMs: number;
  killWith: number | undefined;
  limits: TreeLimits;
  command: string;
  /** Number of words of the command with its arguments. */
  wordCount: number;
}

function whole(option: string, text: string | undefined): number {
  if (text !== undefined && /^\d{1,15}$/.test(text)) return Number(text);
  throw new HoldfastError("usage", `run: ${option} wants a whole number, not ${text ?? "nothing"}`);
}

/** Options end at `--` or at the first word without a dash; the rest is the command. */
export function parseRunArguments(words: readonly string[]): RunOptions | "help" {
  const options: RunOptions = {
    termGraceMs: termGraceMsDefault,
    killWith: undefined,
    limits: {},
    command: "",
    wordCount: 0,
  };
  let at = 0;
  for (; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word === "--" || !word.startsWith("-")) break;
    if (word === "-h" || word === "--help") return "help";
    const [name = "", ...inline] = word.split("=");
    const value = inline.length > 0 ? inline.join("=") : words[(at += 1)];
    if (name === "--term-grace") options.termGraceMs = whole(name, value);
    else if (name === "--kill-with") options.killWith = whole(name, value);
    else if (name === "--limit-pids") options.limits.processesMax = whole(name, value);
    else if (name === "--limit-memory") options.limits.memoryBytesMax = whole(name, value);
    else throw new HoldfastError("usage", `run: unknown option ${name} (holdfast run --help)`);
  }
  const [command, ...args] = words.slice(words[at] === "--" ? at + 1 : at);
  if (command === undefined)
    throw new HoldfastError("usage", "run: no command (holdfast run -- COMMAND [ARGUMENT]...)");
  return { ...options, command, wordCount: args.length + 1 };
}

/** Becomes the guard, or waits as one; returns an exit code if nothing was started, or once nothing is left. */
export function run(words: readonly string[]): number | Promise<number> {
  const options = parseRunArguments(words);
  if (options === "help") {
    process.stdout.write(help);
    return 0;
  }
  requirePlatform();
  const wrong = programProblem(options.command, process.env["PATH"] ?? pathDefault);
  if (wrong !== undefined) {
    process.stderr.write(`holdfast run: ${wrong.problem}\n`);
    return wrong.code;
  }
  return becomeGuard(options);
}
