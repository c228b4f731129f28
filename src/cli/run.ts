/** `holdfast run -- <command>`: parsed by hand, for a fast start and so that the command keeps its own options. */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { becomeGuard } from "../platform/become.ts";
import type { TreeLimits } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";

/** The MCP SDK kills its child 2 s after SIGTERM; our grace must end before. */
const termGraceMsDefault = 1000;

const help = `Usage: holdfast run [--term-grace MS] [--kill-with PID]
                    [--limit-pids N] [--limit-memory BYTES] -- COMMAND [ARGUMENT]...

Runs a command whose whole process tree cannot outlive its caller. Standard input, output and error are the
command's own; its exit code is passed on (128 + n for signal n). No gateway is needed.

The tree ends when the command ends, when the calling process dies in whatever way, and when this process is
signalled: SIGTERM, SIGINT and SIGHUP go to the whole tree, and what is left after the grace is killed.

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
function parseRunArguments(words: readonly string[]): RunOptions | "help" {
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
    const [name = "", inline] = word.split("=", 2);
    const value = inline ?? words[(at += 1)];
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

/** Undefined if a shell would find and run the program, else the shell's exit code and message. */
function programProblem(command: string, path: string): { code: 126 | 127; problem: string } | undefined {
  // The original bytes are lost here, so the guard reports a missing program.
  if (`${command}${path}`.includes("\uFFFD")) return undefined;
  const candidates = command.includes("/")
    ? [command]
    : path.split(delimiter).map((directory) => join(directory || ".", command));
  let found = false;
  for (const file of candidates) {
    let info;
    try {
      info = statSync(file, { throwIfNoEntry: false });
    } catch {
      // unsearchable directory: a shell tries the next one
      found ||= command.includes("/");
      continue;
    }
    if (info === undefined) continue;
    found = true;
    if (!info.isFile()) continue;
    try {
      accessSync(file, constants.X_OK);
      return undefined;
    } catch {
      // not executable by us: another directory of PATH may have it
    }
  }
  if (found) return { code: 126, problem: `${command}: cannot be run (permission denied, or a directory)` };
  return { code: 127, problem: `${command}: command not found` };
}

/** Becomes the guard; returns an exit code only if nothing was started. */
export function run(words: readonly string[]): number {
  const options = parseRunArguments(words);
  if (options === "help") {
    process.stdout.write(help);
    return 0;
  }
  const wrong = programProblem(options.command, process.env["PATH"] ?? "/usr/bin:/bin");
  if (wrong !== undefined) {
    process.stderr.write(`holdfast run: ${wrong.problem}\n`);
    return wrong.code;
  }
  return becomeGuard(options);
}
