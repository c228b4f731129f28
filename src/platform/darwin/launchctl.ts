/** Runs `launchctl`, the only way to launchd that is documented. */
import { execFile } from "node:child_process";

/** How it ended, and what it printed. */
export interface LaunchctlResult {
  /** Null: it was ended, or never ran. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it was not started, such as ENOENT. */
  readonly refused?: string | undefined;
  /** It gave no answer in time, and was ended. */
  readonly isLate?: boolean | undefined;
}

/** Never rejects. */
export type Launchctl = (words: readonly string[]) => Promise<LaunchctlResult>;

/** One call takes about 10 ms; launchd itself may be busy at login. */
const launchctlBoundMs = 10_000;
/** Of its output: `print` of a whole domain is some 100 KB. */
const outputBytesMax = 4 * 1024 * 1024;

/** `command`: the real one, or what tests put in its place. */
export function launchctlOf(
  [program = "", ...before]: readonly string[] = ["/bin/launchctl"],
  boundMs: number = launchctlBoundMs,
): Launchctl {
  return (words) =>
    new Promise((resolve) => {
      const options = {
        timeout: boundMs,
        killSignal: "SIGKILL",
        maxBuffer: outputBytesMax,
        env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      } as const;
      execFile(program, [...before, ...words], options, (error, stdout, stderr) => {
        if (error === null) return resolve({ code: 0, stdout, stderr });
        const { code, killed } = error;
        if (typeof code === "number") return resolve({ code, stdout, stderr });
        if (killed === true && code !== "ERR_CHILD_PROCESS_STDIO_MAXBUFFER")
          return resolve({ code: null, stdout, stderr, isLate: true });
        return resolve({ code: null, stdout, stderr, refused: typeof code === "string" ? code : error.message });
      });
    });
}
