/** The one call of child_process.spawn for fenced commands. */
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { HoldfastError } from "../errors.ts";
import { registerChild } from "./own-children.ts";
import { shellFor } from "./shell.ts";
import { takeTerminalScript } from "./terminal.ts";
import type { SpawnRequest } from "./types.ts";

/** Spawns in a session of its own and resolves when the program runs; a refusal of the system is `spawn_failed`. */
export async function spawnDetached(
  file: string,
  args: readonly string[],
  request: Pick<SpawnRequest, "cwd" | "env" | "command" | "terminal">,
  stdio: Exclude<StdioOptions, string>,
): Promise<ChildProcess> {
  let child: ChildProcess;
  const { terminal } = request;
  const line =
    terminal === undefined ? [file, ...args] : [shellFor(request.env), "-c", takeTerminalScript, "sh", file, ...args];
  try {
    child = spawn(line[0] ?? "", line.slice(1), {
      ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
      env: request.env,
      stdio: terminal === undefined ? stdio : [terminal, terminal, terminal, ...stdio.slice(3)],
      detached: true,
      windowsHide: true,
    });
  } catch (cause) {
    throw refusal(request, cause);
  }
  registerChild(child);
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    // For good: a signal that does not reach a child that lives is told in the same way, and must end nothing here.
    child.on("error", (cause) => reject(refusal(request, cause)));
  });
  return child;
}

function refusal(request: Pick<SpawnRequest, "cwd" | "command">, cause: unknown): HoldfastError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const where = request.cwd === undefined ? "" : ` in ${request.cwd} (does the directory exist?)`;
  return new HoldfastError("spawn_failed", `cannot start ${request.command}${where}: ${reason}`, { cause });
}
