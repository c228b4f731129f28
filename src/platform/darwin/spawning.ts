/** The single call of child_process.spawn for a run's command. */
import { spawn, type ChildProcess } from "node:child_process";
import { HoldfastError } from "../../errors.ts";
import { guardVariable, markerVariable } from "../marker.ts";
import type { MainExit, SpawnRequest } from "../types.ts";
import { variablesFrom } from "../windows-rules/environment.ts";
import type { Started } from "./darwin.ts";
import { takeTerminalScript, type NamedEnd } from "./terminal.ts";

/** Starts a command in its own session (libuv: POSIX_SPAWN_SETSID), with none of our descriptors but its streams. */
export function spawnCommand(request: SpawnRequest, marker: string): Started {
  const { cwd, stdin = "pipe", stdout = "pipe", stderr = "pipe" } = request;
  const terminal = request.terminal as NamedEnd | undefined; // of this platform
  const line = [request.command, ...request.args];
  const words = terminal === undefined ? line : ["/bin/sh", "-c", takeTerminalScript, terminal.path, ...line];
  const end = terminal?.descriptor;
  // Node takes variables as text, once each.
  const { [guardVariable]: _guard, ...variables } = variablesFrom(request.env);
  let child: ChildProcess;
  try {
    child = spawn(words[0] ?? "", words.slice(1), {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...variables, [markerVariable]: marker },
      stdio: end === undefined ? [stdin, stdout, stderr] : [end, end, end],
      detached: true,
    });
  } catch (cause) {
    const never = new Promise<MainExit>(() => {});
    return {
      pid: 0,
      stdin: null,
      stdout: null,
      stderr: null,
      born: Promise.reject(refusal(request, cause)),
      exit: never,
    };
  }
  const exit = new Promise<MainExit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  const born = new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    // Permanent: a failed signal to a live child arrives as the same event, and must end nothing here.
    child.on("error", (cause) => reject(refusal(request, cause)));
  });
  return { pid: child.pid ?? 0, stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, born, exit };
}

function refusal({ command, cwd }: Pick<SpawnRequest, "cwd" | "command">, cause: unknown): HoldfastError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const where = cwd === undefined ? "" : ` in ${cwd} (does the directory exist?)`;
  return new HoldfastError("spawn_failed", `cannot start ${command}${where}: ${reason}`, { cause });
}
