/** A command from its start to its end in one call: for callers that want its result and not a run to look after. */
import type { RunView } from "../protocol/keeper/messages.ts";
import type { RunService, Starter } from "./service.ts";
import type { StartOptions } from "../protocol/keeper/background-spec.ts";

export interface InvokeOptions extends StartOptions {
  /** All of its input; without it the command reads the end of its input at once. */
  input?: Buffer | undefined;
  /** Answer after so many milliseconds at the latest: it may still run then. */
  waitMs: number;
  /** Kept of each stream, from its end; at most what one answer of the keeper takes (`readBytesMax`). */
  outputBytesMax: number;
  /** The caller gave it up: it is ended. */
  signal?: AbortSignal;
  /** The caller is gone: it is ended, without its graces. */
  lost?: AbortSignal | undefined;
}

export interface Invoked {
  run: RunView;
  stdout: Buffer;
  stderr: Buffer;
  /** Printed in all on each stream. */
  stdoutBytes: number;
  stderrBytes: number;
}

/** Throws what `start` throws, and `node_lost`. A command that was given up is ended before this resolves. */
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
    // A command that ends without reading its input has not failed by that.
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
