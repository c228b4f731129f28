/** The scripts for the remote host, sent as the first bytes of stdin to keep user data out of the remote argv. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { platform } from "../../platform/index.ts";
import { HoldfastError } from "../../errors.ts";
import type { RemoteCommand } from "../destination.ts";
import { quote } from "./quote.ts";
import { remoteVariableProblem } from "../variables.ts";

/** One environment string may be 128 KiB on Linux; the script travels in one. */
const scriptBytesMax = 120 * 1024;

/** The shell text of a file without comments and blank lines. */
function textOf(path: string): string {
  return readFileSync(path, "utf8")
    .split("\n")
    .map((line) => line.trimStart())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .join("\n");
}

const own = (name: string) => textOf(fileURLToPath(new URL(name, import.meta.url)));

function assignments(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quote(value)}`)
    .join("\n");
}

/**
 * The command for ssh that reads a script of this length and becomes it. Every login shell parses it alike.
 *
 * A bash named sh imports functions and options from the login's environment, which are meant for the command, not for our
 * scripts: it restarts itself with -p, which ignores them but leaves them in place. Until then it uses only what functions
 * cannot replace in POSIX mode; the options and the trace are removed.
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
  /** `/<owner>/<epoch>.`: marks with this prefix belong to the present keeper, */
  epoch: string;
  /** except those of these lost connections. */
  gone: readonly string[];
  graceMs: number;
  patienceMs: number;
  /** Take this tier or a worse one; for tests and comparisons. */
  only: string;
}

/** Tenths of a second, the shell's unit for waiting. */
const tenths = (milliseconds: number) => String(Math.ceil(milliseconds / 100));

export interface RunVariables {
  /** `/<owner>/<epoch>.<link>/<run>`. */
  mark: string;
  graceMs: number;
  /** The remote cgroup in which leaves can be made, or "". */
  base: string;
  /** Number of prctl on the remote host if a guard can be a subreaper there, or "". */
  reaper: string;
  env: Record<string, string>;
  cwd: string | undefined;
  command: RemoteCommand;
}

/** The scripts of one keeper, read from their files once. */
export class RemoteScripts {
  #texts: { functions: string; guardian: string; run: string } | undefined;

  guardian(given: GuardianVariables): Buffer {
    const { functions, guardian } = this.#load();
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

  /** Throws `config_invalid` for an environment that a shell cannot pass on. */
  run({ mark, graceMs, base, reaper, env, cwd, command }: RunVariables): Buffer {
    const { functions, run } = this.#load();
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
    // Sets the guard's name for the guardian and starts sh again, so that /proc shows that name.
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

  #load() {
    this.#texts ??= {
      functions: `${textOf(platform.treeScript)}\n${own("functions.sh")}`,
      guardian: own("guardian.sh"),
      run: own("run.sh"),
    };
    return this.#texts;
  }
}
