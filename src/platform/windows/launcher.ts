/**
 * A keeper runs in a console of its own without a window, so that it can send Ctrl+Break to its runs and no start opens a window.
 * The process in the person's terminal stays in front of it: it passes on output, Ctrl+C and the exit code, and starts the keeper
 * again when it restarts. The keeper notices its end, as when the terminal is closed, and stops in order.
 */
import { windows } from "./ffi.ts";
import { timesOf } from "./processes.ts";
import { requestSignal } from "./requests.ts";
import { spawnHidden } from "./spawning.ts";
import { exitCodeOf } from "./waits.ts";

/** Of a keeper, the pid of its launcher. */
const launcherVariable = "HOLDFAST_LAUNCHER";
/** How a keeper asks to be started again; no other exit has this code. */
const againCode = 0x4846_0001;
/** SYNCHRONIZE. */
const mayWait = 0x10_0000;

const isLaunched = (): boolean => process.env[launcherVariable] === String(process.ppid);

/**
 * Of a keeper: ends this process, and its launcher starts the next one. Of another process: starts the same command line with
 * more flags for Node.js as a keeper, and ends with its code. Never resolves.
 */
export async function becomeAgain(flags: readonly string[] = []): Promise<never> {
  if (isLaunched()) process.exit(againCode);
  const args = [...flags, ...process.execArgv, ...process.argv.slice(1)];
  for (;;) {
    const code = await launch(args);
    if (code !== againCode) process.exit(code);
  }
}

async function launch(args: readonly string[]): Promise<number> {
  const env = { ...process.env, [launcherVariable]: String(process.pid) };
  const { process: keeper, pid, sockets } = spawnHidden(process.execPath, args, env);
  const startTime = String(timesOf(keeper)?.created ?? "");
  const ask = (signal: NodeJS.Signals) => {
    // One that does not listen yet holds nothing.
    if (!requestSignal({ pid, startTime }, signal)) windows().TerminateProcess(keeper, 1);
  };
  const asks = { SIGINT: "SIGINT", SIGTERM: "SIGTERM", SIGBREAK: "SIGTERM", SIGHUP: "SIGTERM" } as const;
  const listeners = Object.entries(asks).map(([heard, told]) => [heard, () => ask(told)] as const);
  for (const [heard, listener] of listeners) process.on(heard, listener);
  try {
    const streams = [process.stdout, process.stderr];
    for (const [index, socket] of sockets.slice(1).entries())
      void socket?.then((output) => output.pipe(streams[index] ?? process.stdout, { end: false }));
    return await exitCodeOf(keeper);
  } finally {
    for (const [heard, listener] of listeners) process.off(heard, listener);
  }
}

/** Of a keeper: calls `onEnd` when its launcher has ended, at once if it has already. */
export function watchLauncher(onEnd: () => void): void {
  if (process.env[launcherVariable] === undefined) return;
  const launcher = isLaunched() ? windows().OpenProcess(mayWait, 0, process.ppid) : 0;
  if (launcher === 0) return onEnd();
  windows().waitFor(launcher, onEnd);
}
