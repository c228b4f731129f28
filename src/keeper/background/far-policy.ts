/** What may be started on another machine: the config's rules, as far as anybody here can hold them over there. */
import { isAbsolute } from "node:path";
import { HoldfastError } from "../../errors.ts";
import { remoteVariableProblem } from "../../ssh/variables.ts";
import type { BackgroundSpec } from "../../protocol/keeper/background.ts";
import type { ExecRules, Resolved } from "./policy.ts";

/** Command, arguments and environment travel in one string of an environment, of which Linux takes 128 KiB. */
const bytesMax = 64 * 1024;

/** For a spec whose words and environment are checked. Throws `exec_refused` or `invalid_params`. */
export function resolveFar(spec: BackgroundSpec, rules: ExecRules): Resolved {
  const { host, argv, cwd, env } = spec;
  const [command = "", ...args] = argv;
  checkHost(spec, rules);
  if (rules.allowCommands !== undefined && !rules.allowCommands.includes(command))
    throw refused(`${command} is not, in these very words, in exec.allowCommands (${rules.allowCommands.join(", ")})`);
  if (cwd !== null && (!isAbsolute(cwd) || cwd.includes("\0")))
    throw invalid(`cwd: ${JSON.stringify(cwd)} is not an absolute path`);
  for (const name of Object.keys(env)) {
    const problem = remoteVariableProblem(name);
    if (problem !== undefined) throw invalid(problem);
  }
  const bytes = Buffer.byteLength(JSON.stringify([argv, env, cwd]));
  if (bytes > bytesMax)
    throw invalid(`command and env are ${bytes} bytes long, over ssh at most ${bytesMax} are taken`);
  return { command, args, cwd: cwd ?? undefined, env, host };
}

function checkHost({ host, kind, descendants, limits }: BackgroundSpec, rules: ExecRules): void {
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
