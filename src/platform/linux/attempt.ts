/** Tries a program of Holdfast's own and waits for its end. */
import { spawnSync } from "node:child_process";
import type { Attempt } from "../types.ts";

const attemptMsMax = 15_000;
/** Of what it printed, in characters. */
const shownMax = 500;

export function attempt([command = "", ...args]: readonly string[]): Attempt {
  const { status, signal, stderr, error } = spawnSync(command, args, {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    timeout: attemptMsMax,
    killSignal: "SIGKILL",
    maxBuffer: 64 * 1024,
  });
  return { code: status, signal, stderr: (stderr ?? "").trim().slice(0, shownMax), refused: error?.message ?? null };
}
