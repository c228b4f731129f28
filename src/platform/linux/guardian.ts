/** The guardian: the shell that ends everything of one epoch once the keeper is gone. */
import type { ProcessRef, Watchdog } from "../types.ts";
import { startHelper } from "./helpers.ts";
import { scriptPath, shell as systemShell, shellEnvironment } from "./shell.ts";

interface GuardianOptions {
  /** Arguments MARKER, FENCE, HOME and CONTROLLER... of guardian.sh. */
  words: readonly string[];
  /** The program that runs guardian.sh: replaced by tests. */
  shell?: string | undefined;
}

export function startGuardian({ words, shell = systemShell }: GuardianOptions): Watchdog {
  const command = [shell, scriptPath("guardian.sh"), scriptPath("tree.sh"), ...words];
  const { helper, child } = startHelper(command, {
    env: shellEnvironment(),
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  child.stdin?.on("error", () => {}); // it is gone; its exit reports that
  const ready = new Promise<void>((resolve) => child.stdout?.once("data", () => resolve()));
  return Object.assign(helper, {
    ready,
    guard: ({ pid, startTime }: ProcessRef) => void child.stdin?.write(`front ${pid} ${startTime}\n`),
    dismiss: () => void child.stdin?.end("done\n"),
  });
}
