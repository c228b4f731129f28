/** The single call of child_process.spawn for fenced commands. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync } from "node:fs";
import { HoldfastError } from "../../errors.ts";
import { openCommandImage, type ImageFormat } from "./command-image.ts";
import { registerChild } from "./own-children.ts";
import { shell, shellEnvironment } from "./shell.ts";
import { takeTerminalScript } from "./terminal.ts";
import type { MainExit, Spawned, SpawnRequest } from "../types.ts";
import { bootId, readProcess } from "./processes.ts";

/** Where the executor finds the image of the command. */
export const imageDescriptor = 5;

interface Chain {
  /** The chain to start: guards and helpers, with the executor at its end. */
  line: readonly string[];
  /** Added to the chain's environment, invisible to the command. */
  shellVariables: Readonly<Record<string, string>>;
  request: Pick<SpawnRequest, "cwd" | "command" | "args" | "terminal" | "stdin" | "stdout" | "stderr">;
  /** The command itself, visible to the executor only. */
  environment: readonly Uint8Array[];
  /** Descriptors 3 and 4 of the chain. */
  between: readonly ["pipe" | "ignore", "pipe" | "ignore"];
  format?: ImageFormat;
}

/** Spawns in its own session and resolves when the program runs; throws `spawn_failed` when the system refuses. */
export async function spawnDetached({
  line,
  shellVariables,
  request,
  environment,
  between,
  format,
}: Chain): Promise<ChildProcess> {
  const { terminal, cwd, stdin = "pipe", stdout = "pipe", stderr = "pipe" } = request;
  const words = terminal === undefined ? line : [shell, "-c", takeTerminalScript, "sh", ...line];
  const image = openCommandImage({ argv: [request.command, ...request.args], environment }, format);
  const end = terminal?.descriptor;
  const streams = end === undefined ? [stdin, stdout, stderr] : [end, end, end];
  let child: ChildProcess;
  try {
    child = spawn(words[0] ?? "", words.slice(1), {
      ...(cwd === undefined ? {} : { cwd }),
      env: shellEnvironment(shellVariables),
      stdio: [...streams, ...between, image],
      detached: true,
      windowsHide: true,
    });
  } catch (cause) {
    throw refusal(request, cause);
  } finally {
    closeSync(image);
  }
  registerChild(child);
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    // Permanent: a failed signal to a live child arrives as the same event, and must end nothing here.
    child.on("error", (cause) => reject(refusal(request, cause)));
  });
  return child;
}

export function spawnedAs(child: ChildProcess, exit: Promise<MainExit>, mainPid: () => number | undefined): Spawned {
  const { stdin, stdout, stderr, pid = 0 } = child;
  // An ended process gets a start time that matches none.
  const ref = { pid, startTime: readProcess(pid)?.startTime ?? "", bootId: bootId() };
  return { stdin, stdout, stderr, ref, exit, mainPid };
}

function refusal(request: Pick<SpawnRequest, "cwd" | "command">, cause: unknown): HoldfastError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const where = request.cwd === undefined ? "" : ` in ${request.cwd} (does the directory exist?)`;
  return new HoldfastError("spawn_failed", `cannot start ${request.command}${where}: ${reason}`, { cause });
}
