/**
 * A command, its environment and its directory as text for trampoline.sh, which evaluates it. It goes through a FIFO, so that no
 * value is ever in a file, a property list or an argument.
 */
import type { Environment } from "../types.ts";

export interface ScriptedCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Environment;
  /** Of the process that starts it; launchd has its own. */
  readonly umask: number;
}

const shellName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Variables that bash 3.2 or dash do not let a script set to any value. */
const shellsOwn = new Set(
  (
    "BASHOPTS BASHPID BASH_ARGC BASH_ARGV BASH_COMMAND BASH_LINENO BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO DIRSTACK EUID " +
    "FUNCNAME GROUPS HISTCMD LINENO OPTIND PPID RANDOM SECONDS SHELLOPTS UID"
  ).split(" "),
);

/** Set by every shell for each program that it starts. */
const always = "_";

/** Latin-1 holds each byte as one character. */
function entriesOf(env: Environment): [name: string, value: string][] {
  const entries = Array.isArray(env)
    ? (env as readonly Uint8Array[]).map((entry) => Buffer.from(entry).toString("latin1"))
    : Object.entries(env).map(([name, value]) => Buffer.from(`${name}=${value}`).toString("latin1"));
  return entries.map((entry) => {
    const at = entry.indexOf("=");
    return at === -1 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
  });
}

/** Quoted for a POSIX shell, which takes everything between single quotes as it is. */
function quote(text: string): string {
  if (text.includes("\0")) throw new TypeError("a zero byte ends every argument");
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * Throws TypeError for what a shell cannot pass on. Of several entries of one name the first counts, as for `getenv`. `changes`:
 * undefined removes an entry.
 */
export function commandScript(
  { command, args, cwd, env, umask }: ScriptedCommand,
  changes: Readonly<Record<string, string | undefined>>,
): Buffer {
  const variables = new Map<string, string>();
  for (const [name, value] of entriesOf(env)) if (!variables.has(name)) variables.set(name, value);
  for (const [name, value] of Object.entries(changes)) {
    variables.delete(name);
    if (value !== undefined) variables.set(name, Buffer.from(value).toString("latin1"));
  }
  variables.delete(always);
  for (const name of variables.keys()) {
    if (shellName.test(name) && !shellsOwn.has(name)) continue;
    const shown = Buffer.from(name, "latin1").toString();
    throw new TypeError(`the shell in front of it cannot set the variable ${JSON.stringify(shown)}: leave it out`);
  }
  const words = [command, ...args].map((word) => quote(Buffer.from(word).toString("latin1")));
  const lines = [
    `cd -- ${quote(Buffer.from(cwd).toString("latin1"))} || exit 126`,
    `umask ${umask.toString(8).padStart(4, "0")}`,
    "unset PWD OLDPWD SHLVL", // the shell's own, unless the command is to have them
    ...[...variables].map(([name, value]) => `export ${name}=${quote(value)}`),
    `set -- ${words.join(" ")}`,
    "is_whole=yes",
  ];
  return Buffer.from(`${lines.join("\n")}\n`, "latin1");
}
