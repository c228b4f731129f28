/** What is sent to the far side, and how: as the first bytes of stdin, so that no word of the user is in a remote argv. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { platform } from "../../platform/index.ts";
import { HoldfastError } from "../../errors.ts";
import type { RemoteCommand } from "../destination.ts";
import { quote } from "./quote.ts";
import { remoteVariableProblem } from "../variables.ts";

/** One string of an environment may be 128 KiB on Linux; the script travels in one. */
const scriptBytesMax = 120 * 1024;

/** The shell text of a file without what only people read. */
function textOf(path: string): string {
  return readFileSync(path, "utf8")
    .split("\n")
    .map((line) => line.trimStart())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .join("\n");
}

const own = (name: string) => textOf(fileURLToPath(new URL(name, import.meta.url)));

let texts: { functions: string; guardian: string; run: string } | undefined;

function loadTexts() {
  texts ??= {
    functions: `${textOf(platform.treeScript)}\n${own("far.sh")}`,
    guardian: own("far-guardian.sh"),
    run: own("far-run.sh"),
  };
  return texts;
}

function assignments(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quote(value)}`)
    .join("\n");
}

/**
 * The command for ssh that reads a script of so many bytes and becomes it. Every login shell reads it alike.
 *
 * A bash under the name of sh takes functions and options from the environment of the login, which are to reach the command
 * and not our scripts: it starts itself again with -p, which takes none and leaves them where they are. Before that it does
 * nothing but what no function can replace in POSIX mode; and the options and the trace are taken away.
 */
export function bootstrap(script: Buffer): string {
  const unsteered = `case $BASH_VERSION in ?*) exec sh -p -c "$0";; esac; eval "$0"`;
  const read = `eval "$(dd bs=1 count=${script.length} 2>/dev/null)"`;
  return `exec env -u SHELLOPTS -u BASHOPTS -u PS4 sh -c '${unsteered}' '${read}'`;
}

export interface GuardianVariables {
  /** `/<owner>/`. */
  owner: string;
  /** `/<owner>/<epoch>.<link>/`. */
  link: string;
  /** `/<owner>/<epoch>.`: what carries it belongs to this life, */
  epoch: string;
  /** unless it is of these connections, which are lost. */
  gone: readonly string[];
  graceMs: number;
  patienceMs: number;
  /** Take this tier or a worse one; for tests and comparisons. */
  only: string;
}

/** Tenths of a second, since that is what a shell can wait for. */
const tenths = (milliseconds: number) => String(Math.ceil(milliseconds / 100));

export function guardianScript(given: GuardianVariables): Buffer {
  const { functions, guardian } = loadTexts();
  const { owner, link, epoch, gone, graceMs, patienceMs, only } = given;
  const variables = {
    owner,
    link,
    epoch,
    gone: gone.join(" "),
    grace: tenths(graceMs),
    patience: String(Math.max(2, Math.ceil(patienceMs / 1000))),
    only,
  };
  return Buffer.from(`${assignments(variables)}\n${functions}\n${guardian}\n`);
}

export interface RunVariables {
  /** `/<owner>/<epoch>.<link>/<run>`. */
  mark: string;
  graceMs: number;
  /** The far side's cgroup that leaves can be made in, or "". */
  base: string;
  /** Number of prctl on the far side when it can be a subreaper there, or "". */
  reaper: string;
  env: Record<string, string>;
  cwd: string | undefined;
  command: RemoteCommand;
}

/** Throws `config_invalid` for an environment that a shell cannot carry. */
export function runScript({ mark, graceMs, base, reaper, env, cwd, command }: RunVariables): Buffer {
  const { functions, run } = loadTexts();
  for (const name of Object.keys(env)) {
    const problem = remoteVariableProblem(name);
    if (problem !== undefined) throw new HoldfastError("config_invalid", problem);
  }
  const exported = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`);
  const environment = `set_environment() {\n:\n${exported.join("\n")}\n}`;
  const words = "argv" in command ? `set -- ${command.argv.map(quote).join(" ")}` : "";
  const variables = {
    mark,
    grace: tenths(graceMs),
    base,
    directory: cwd ?? "",
    line: "line" in command ? command.line : "",
  };
  const inner = [assignments(variables), functions, environment, words, run].join("\n");
  // The guard's own name for the guardian, and a second start of sh, so that this name is in what /proc shows of it.
  const shell = `sh "$@" -c 'eval "$HOLDFAST_SCRIPT"'`;
  // As in bootstrap().
  const privileged = "set --\ncase $BASH_VERSION in ?*) set -- -p;; esac";
  const start =
    reaper === ""
      ? `exec ${shell}`
      : `exec perl -e 'syscall(${reaper}, 36, 1, 0, 0, 0) == 0 or exit 125; exec @ARGV; exit 127' ${shell}`;
  const script = Buffer.from(
    `HOLDFAST_GUARD=${quote(mark)}\nHOLDFAST_SCRIPT=${quote(inner)}\nexport HOLDFAST_GUARD HOLDFAST_SCRIPT\n${privileged}\n${start}\n`,
  );
  if (script.length > scriptBytesMax) {
    throw new HoldfastError(
      "config_invalid",
      `command, args and env for an ssh host are ${script.length} bytes together, at most ${scriptBytesMax}`,
    );
  }
  return script;
}
