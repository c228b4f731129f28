/** Records every end of a keeper by its own doing: an exception, a rejection, an exit. */
import type { CrashView } from "../protocol/keeper/status.ts";
import type { CrashRecords } from "./crashes.ts";
import type { Log } from "./log.ts";

export interface LastWords extends Disposable {
  /** Records a caught error; the process continues to its end. */
  failed(thrown: unknown): void;
}

/**
 * Records uncaught exceptions and exits before the orderly end, by any caller. The process still ends as usual. Disposed of at
 * the orderly end.
 */
export function recordLastWords(crashes: CrashRecords, log: Pick<Log, "fatal">): LastWords {
  const keeper = { who: "keeper", pid: process.pid } as const;
  let isRecorded = false;
  const record = (crash: Pick<CrashView, "why" | "detail"> & { exitCode?: number }, stack: string) => {
    isRecorded = true;
    const { file } = crashes.record({ ...keeper, ...crash }, stack);
    try {
      log.fatal({ event: "keeper.crashed", why: crash.why, detail: crash.detail ?? "", file });
    } catch {
      // Full disk, or the log itself failed; the record exists.
    }
  };
  const threw = (thrown: unknown, origin: string) => {
    const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    const rejected = origin === "unhandledRejection" ? " (a promise that was not awaited)" : "";
    record({ why: "threw", detail: `${stack.split("\n", 1)[0]}${rejected}` }, stack);
  };
  const exits = (exitCode: number) => {
    if (isRecorded) return;
    const detail = `the process exited with code ${exitCode} before its orderly end`;
    record({ why: "died", detail, exitCode }, new Error(detail).stack ?? "");
  };
  process.on("uncaughtExceptionMonitor", threw);
  process.on("exit", exits);
  return {
    failed: (thrown) => threw(thrown, "uncaughtException"),
    [Symbol.dispose]() {
      process.off("uncaughtExceptionMonitor", threw);
      process.off("exit", exits);
    },
  };
}
