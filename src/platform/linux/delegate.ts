/**
 * A user without rights can have a cgroup subtree of their own where a systemd user manager runs: the gateway starts itself
 * again inside a delegated scope. Never a hang: the manager must have answered within a bound first.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import { ownCgroupDirectory } from "./cgroup-mount.ts";

/** Set in the scope, so that a manager which delegates nothing is asked once and not for ever. */
const delegatedVariable = "HOLDFAST_DELEGATED";
/** Time for the user manager to say that it is there. */
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
 * Becomes the same command line inside a delegated scope where that gives a better tier; the pid stays. Returns when there
 * is nothing to be had, and then the tier that is there is taken.
 */
export function enterDelegatedScope(): void {
  const { env } = process;
  if (process.platform !== "linux" || process.execve === undefined || env[delegatedVariable] !== undefined) return;
  // Root without a writable cgroup is in a container that was given none: a user manager is not for it.
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
