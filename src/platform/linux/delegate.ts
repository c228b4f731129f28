/**
 * An unprivileged user can have a cgroup subtree where a systemd user manager runs: the gateway restarts itself inside a
 * delegated scope. It cannot hang, since the manager must first answer within a bound.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import { ownCgroupDirectory } from "./cgroup-mount.ts";

/** Set in the scope, so that a manager without delegation is asked only once. */
const delegatedVariable = "HOLDFAST_DELEGATED";
/** Time for the user manager to answer. */
const answerBoundMs = 2000;

function canWriteOwnCgroup(): boolean {
  const own = ownCgroupDirectory();
  if ("reason" in own) return false;
  try {
    accessSync(own.directory, constants.W_OK);
    accessSync(join(own.directory, "cgroup.procs"), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function userManagerAnswers(environment: NodeJS.ProcessEnv): boolean {
  const runtime = environment["XDG_RUNTIME_DIR"];
  if (runtime === undefined || !existsSync(join(runtime, "systemd", "private"))) return false;
  const { stdout, error } = spawnSync("systemctl", ["--user", "is-system-running"], {
    encoding: "utf8",
    timeout: answerBoundMs,
    killSignal: "SIGKILL",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return error === undefined && /^(running|degraded|starting)$/.test(stdout.trim());
}

/**
 * Becomes the same command line inside a delegated scope where that gives a better tier; the pid stays. Otherwise returns, and
 * the available tier is used.
 */
export function enterDelegatedScope(): void {
  const { env } = process;
  if (process.platform !== "linux" || process.execve === undefined || env[delegatedVariable] !== undefined) return;
  // Root without a writable cgroup is in a container without delegation: a user manager would not help.
  if (process.getuid?.() === 0 || canWriteOwnCgroup() || !userManagerAnswers(env)) return;
  const file = (env["PATH"] ?? "/usr/bin:/bin")
    .split(":")
    .map((directory) => join(directory, "systemd-run"))
    .find((candidate) => existsSync(candidate));
  if (file === undefined) return;
  const scope = ["--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--"];
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(file, ["systemd-run", ...scope, ...self], { ...env, [delegatedVariable]: "1" });
}
