/** Runs a command from start to end in one call, for callers interested only in the result. */
import type { RunView } from "../protocol/run.ts";
import type { RunService, Starter } from "./service.ts";
import type { StartOptions } from "../protocol/keeper/background-spec.ts";

export interface InvokeOptions extends StartOptions {
  /** Its whole input; without it the command reads end of input at once. */
  input?: Buffer | undefined;
  /** Answers after this many milliseconds at the latest; the command may still be running. */
  waitMs: number;
  /** Bytes kept from the end of each stream; at most one answer of the keeper (`readBytesMax`). */
  outputBytesMax: number;
  /** The caller cancelled: the run is ended. */
  signal?: AbortSignal;
  /** The caller is gone: the run is ended without its graces. */
  lost?: AbortSignal | undefined;
}

export interface Invoked {
  run: RunView;
  stdout: Buffer;
  stderr: Buffer;
  /** Total bytes printed on each stream. */
  stdoutBytes: number;
  stderrBytes: number;
}

/** Throws the errors of `start`, and `node_lost`. A cancelled command is ended before this resolves. */
export async function invoke(runs: RunService, options: InvokeOptions, starter: Starter): Promise<Invoked> {
  const { input, waitMs, outputBytesMax, signal, lost, ...start } = options;
  const { id } = await runs.start({ ...start, streams: "apart", stdin: input !== undefined }, starter);
  const gaveUp = Promise.withResolvers<"gave-up">();
  const giveUp = () => gaveUp.resolve("gave-up");
  signal?.addEventListener("abort", giveUp, { once: true });
  if (signal?.aborted === true) giveUp();
  const lose = () => void runs.endLost(id);
  lost?.addEventListener("abort", lose, { once: true });
  if (lost?.aborted === true) lose();
  try {
    // A command may end without reading its input, which is not a failure.
    if (input !== undefined) await runs.write(id, input, true).catch(() => {});
    const first = await Promise.race([runs.outcome(id, waitMs, outputBytesMax), gaveUp.promise]);
    if (first === "gave-up") await runs.end(id, "cancelled", false);
    const { run, stdout, stderr } = first === "gave-up" ? await runs.outcome(id, 0, outputBytesMax) : first;
    const [stdoutBytes, stderrBytes] = [stdout.printed, stderr.printed];
    return { run, stdout: stdout.bytes, stderr: stderr.bytes, stdoutBytes, stderrBytes };
  } finally {
    signal?.removeEventListener("abort", giveUp);
    lost?.removeEventListener("abort", lose);
  }
}
