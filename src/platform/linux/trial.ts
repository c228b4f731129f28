/** Tries on this machine whether a command that wraps others does so, before it is written into anybody's config. */
import { spawnSync } from "node:child_process";

const trialMsMax = 15_000;
/** Of what it printed, in characters. */
const shownMax = 500;

/** Has `words` wrap the smallest command there is. Undefined: it works; else why it does not, in its own words. */
export function refusalOf(words: readonly string[]): string | undefined {
  const [command = "", ...args] = words;
  const { status, signal, stderr, error } = spawnSync(command, [...args, process.execPath, "--version"], {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    timeout: trialMsMax,
    killSignal: "SIGKILL",
    maxBuffer: 64 * 1024,
  });
  if (status === 0) return undefined;
  const said = (stderr ?? "").trim().slice(0, shownMax);
  return said || error?.message || `it ended with ${signal ?? `exit code ${String(status)}`}`;
}
