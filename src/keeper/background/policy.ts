/** Rules for background commands: those of the config, and the checks that only this machine can make. */
import { realpathSync, statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { specLimits, type BackgroundSpec } from "../../protocol/background.ts";
import { findProgram, pathDefault } from "../../platform/program.ts";
import type { Config } from "../../config/schema.ts";
import {
  baseEnvironment,
  comparedName,
  mergeEnvironment,
  steersSystem,
  variableIn,
} from "../../platform/environment.ts";
import { guardVariable, markerVariable } from "../../platform/marker.ts";
import { HoldfastError } from "../../errors.ts";
import { homeOf, isInDirectory, isSamePath } from "../../platform/places.ts";
import { remoteVariableProblem } from "../../ssh/variables.ts";
import { PolicyMiss } from "./consent.ts";

export type ExecRules = Config["exec"] & {
  /** Section of the config that holds the lists, named in refusals; `exec` by default. */
  section?: "exec" | "node";
};

/** The command to start. */
export interface Resolved {
  command: string;
  args: string[];
  /** Undefined = the login directory on another machine. */
  cwd: string | undefined;
  env: Record<string, string>;
  /** `local`, or `ssh:…`. */
  host: string;
}

/**
 * Variables that make an allowed program load or run another one: of shells, the dynamic loader, language runtimes, git, less,
 * make, npm and OpenSSL. Incomplete: a guard rail, not a sandbox.
 */
const steering = [
  steersSystem,
  /^BASH_FUNC_/, // a function for bash, in either spelling: "%%" or "()" at the end
  /^(?:PATH|IFS|CDPATH|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|BASH_LOADABLES_PATH|PS[0-4]|PROMPT_COMMAND|ZDOTDIR|FPATH|HISTFILE)$/,
  /^(?:LD_.*|GLIBC_TUNABLES|GCONV_PATH|MALLOC_CONF|DYLD_.*)$/,
  /^(?:NODE_OPTIONS|NODE_PATH|PYTHON(?:PATH|HOME|STARTUP|INSPECT|BREAKPOINT)|PERL5?(?:LIB|OPT|DB)|RUBY(?:LIB|OPT))$/,
  /^(?:JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|LUA_(?:INIT|PATH|CPATH).*|GEM_(?:HOME|PATH)|PHPRC)$/,
  /^(?:GIT_(?:SSH|SSH_COMMAND|PROXY_COMMAND|EXTERNAL_DIFF|ASKPASS|EXEC_PATH|CONFIG.*)|LESS(?:OPEN|CLOSE)|(?:GNU)?MAKEFLAGS)$/,
  /^(?:npm_config_(?:node_options|script_shell)|OPENSSL_(?:CONF|ENGINES|MODULES)|DOTNET_STARTUP_HOOKS)$/i,
];

const isOff = 'background runs are off; set "exec": {"enabled": true} in the config, then `holdfast restart --all`';

export function unknownRun(id: string, { enabled }: ExecRules): HoldfastError {
  const advice = enabled ? "`holdfast process list --all` shows those there are" : isOff;
  return new HoldfastError("run_unknown", `no background run ${id}; ${advice}`);
}

/** Throws `exec_disabled`, `exec_refused` or `invalid_params`, each naming the rule or the value. */
export function resolveSpec(spec: BackgroundSpec, rules: ExecRules, base = baseEnvironment()): Resolved {
  if (!rules.enabled) throw new HoldfastError("exec_disabled", isOff);
  const [command = "", ...args] = spec.argv;
  checkWords(spec);
  // Before the lists: a person who may overrule them has no say in this.
  checkEnvironment(spec.env, rules);
  if (spec.host !== "local") return resolveRemote(spec, rules);
  const cwd = resolveDirectory(spec.cwd ?? homeOf(base), rules);
  const env = mergeEnvironment(base, terminalDefaults(spec, base), spec.env);
  const program = programOf(command, cwd, variableIn(env, "PATH") ?? pathDefault);
  if (rules.allowCommands === undefined) return { command, args, cwd, env, host: "local" };
  checkAllowed(command, program, rules, variableIn(base, "PATH") ?? pathDefault);
  return { command: program, args, cwd, env, host: "local" };
}

/** Command, arguments and environment travel in one environment string, which Linux limits to 128 KiB. */
const remoteBytesMax = 64 * 1024;

/** For another machine: the rules that can be checked from here. Throws `exec_refused` or `invalid_params`. */
function resolveRemote(spec: BackgroundSpec, rules: ExecRules): Resolved {
  const { host, argv, cwd, env } = spec;
  const [command = "", ...args] = argv;
  checkRemoteHost(spec, rules);
  if (rules.allowCommands !== undefined && !rules.allowCommands.includes(command))
    throw refused(`${command} is not, in these very words, in exec.allowCommands (${rules.allowCommands.join(", ")})`);
  if (cwd !== null && (!isAbsolute(cwd) || cwd.includes("\0")))
    throw invalid(`cwd: ${JSON.stringify(cwd)} is not an absolute path`);
  for (const name of Object.keys(env)) {
    const problem = remoteVariableProblem(name);
    if (problem !== undefined) throw invalid(problem);
  }
  const bytes = Buffer.byteLength(JSON.stringify([argv, env, cwd]));
  if (bytes > remoteBytesMax)
    throw invalid(`command and env are ${bytes} bytes long, over ssh at most ${remoteBytesMax} are taken`);
  return { command, args, cwd: cwd ?? undefined, env, host };
}

function checkRemoteHost({ host, kind, descendants, limits }: BackgroundSpec, rules: ExecRules): void {
  if (!rules.allowHosts.includes(host)) {
    const allowed = rules.allowHosts.length === 0 ? "which names none" : `which names ${rules.allowHosts.join(", ")}`;
    throw refused(`host ${JSON.stringify(host)} is not in exec.allowHosts, ${allowed}`);
  }
  if (rules.allowDirectories !== undefined)
    throw refused(`exec.allowDirectories is set, and cannot be enforced on ${host}; remove one of the two`);
  if (kind === "pty") throw invalid(`${host}: a terminal on another machine is not there; start it as kind exec`);
  if (descendants !== "reap") throw invalid(`${host}: on another machine what a command leaves behind ends with it`);
  if (Object.values(limits).some((limit) => limit !== undefined))
    throw invalid(`${host}: limits of processes and memory are held on this machine only`);
}

function invalid(message: string): HoldfastError {
  return new HoldfastError("invalid_params", message);
}

function refused(message: string): HoldfastError {
  return new HoldfastError("exec_refused", message);
}

function checkWords(spec: BackgroundSpec): void {
  const { argvBytesMax, columnsMax, rowsMax } = specLimits;
  if ((spec.argv[0] ?? "") === "") throw invalid("the command is empty");
  if (spec.argv.some((word) => word.includes("\0")))
    throw invalid("the command has a NUL character, which no program can be given");
  const bytes = spec.argv.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0);
  if (bytes > argvBytesMax) throw invalid(`the command is ${bytes} bytes long, at most ${argvBytesMax} are taken`);
  if (spec.kind === "pty" && spec.streams === "apart")
    throw invalid("a terminal has one stream; start it with streams merged, or as kind exec");
  const { columns, rows } = spec.size;
  if (columns < 1 || columns > columnsMax || rows < 1 || rows > rowsMax)
    throw invalid(`a terminal has 1 to ${columnsMax} columns and 1 to ${rowsMax} rows, not ${columns} × ${rows}`);
}

function checkEnvironment(env: Record<string, string>, rules: ExecRules): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(env)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
    if (name === "" || name.includes("=") || name.includes("\0") || value.includes("\0"))
      throw invalid(
        `env: ${JSON.stringify(name.slice(0, 64))} is not a variable: a name has no "=", and neither has a NUL`,
      );
    const compared = comparedName(name);
    if (compared === markerVariable || compared === guardVariable) throw invalid(`env: ${name} is Holdfast's own`);
    if (rules.allowCommands !== undefined && steering.some((pattern) => pattern.test(compared)))
      throw new HoldfastError(
        "exec_refused",
        `env: ${/^\w+$/.test(name) ? name : JSON.stringify(name)} may not be set while ${listNamed("allowCommands", rules)} is: it steers shells or what programs load`,
      );
  }
  const { envBytesMax } = specLimits;
  if (bytes > envBytesMax) throw invalid(`env is ${bytes} bytes long, at most ${envBytesMax} are taken`);
}

/** A common terminal type, unless the caller or the gateway's environment sets one. */
function terminalDefaults(spec: BackgroundSpec, base: Record<string, string>): Record<string, string> {
  if (spec.kind !== "pty") return {};
  const known = base["TERM"];
  return { TERM: known === undefined || known === "dumb" ? "xterm-256color" : known };
}

function resolveDirectory(cwd: string, rules: ExecRules): string {
  if (!isAbsolute(cwd) || cwd.includes("\0")) throw invalid(`cwd: ${JSON.stringify(cwd)} is not an absolute path`);
  if (!(statSync(cwd, { throwIfNoEntry: false })?.isDirectory() ?? false))
    throw invalid(`cwd: ${cwd} is not a directory`);
  const { allowDirectories } = rules;
  if (allowDirectories === undefined) return cwd;
  // Resolve links on both sides, so that a link cannot lead out of an allowed directory.
  const real = realpathSync(cwd);
  const isInside = allowDirectories.some((directory) => {
    const allowed = realOrUndefined(directory);
    return allowed !== undefined && isInDirectory(real, allowed);
  });
  if (isInside) return real;
  throw new PolicyMiss(
    `cwd: ${real} is in none of ${listNamed("allowDirectories", rules)} (${allowDirectories.join(", ")})`,
  );
}

function realOrUndefined(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined; // missing
  }
}

/** The file that the system would run. Throws `spawn_failed`. */
function programOf(command: string, cwd: string, path: string): string {
  const found = findProgram(command, cwd, path);
  if (found !== undefined) return found;
  throw new HoldfastError("spawn_failed", `${command}: no such program, or it may not be run`);
}

/** A bare name in the list means the program found on the gateway's own PATH, whatever the caller's PATH is. */
function checkAllowed(command: string, program: string, rules: ExecRules, ownPath: string): void {
  const allowed = rules.allowCommands ?? [];
  const isAllowed = allowed.some((entry) => isSamePath(findProgram(entry, "/", ownPath) ?? "", program));
  if (isAllowed) return;
  const list = allowed.length === 0 ? "which is empty" : allowed.join(", ");
  throw new PolicyMiss(`${command} (${program}) is not in ${listNamed("allowCommands", rules)} (${list})`);
}

/** The list as its owner wrote it: in a config or, on a node, as a flag. */
function listNamed(key: "allowCommands" | "allowDirectories", { section = "exec" }: ExecRules): string {
  return section === "exec" ? `exec.${key}` : `the node's ${key}`;
}
