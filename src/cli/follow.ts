/** Reads a run's output by offset until the run has ended: each reader at its own pace, without repeats or unreported gaps. */
import { once } from "node:events";
import type { RunView } from "../protocol/run.ts";
import { systemClock } from "../clock.ts";
import type { GatewayClient } from "../client/rpc.ts";
import { HoldfastError } from "../errors.ts";

/** How long one request waits for the next byte. */
const waitMs = 20_000;
const bytesMax = 256 * 1024;
/** A restarted front serves again within this time; the run goes on. */
export const reconnectBoundMs = 30_000;
const reconnectEveryMs = 200;

export interface FollowOptions {
  offset: number;
  /** Wait for more until the run has ended; else read only what exists. */
  follow: boolean;
  /** Counts as use of the run. */
  viewer: boolean;
  /** Make the run wait for this reader. */
  pace?: boolean;
  /** The session that represents us: if it is lost without being ended, the run ends. */
  caller?: string | undefined;
  /** Aborts it, even during a wait. */
  signal?: AbortSignal;
  /** For a run with separate streams; the default stdout has everything where they are merged. */
  stream?: "stdout" | "stderr";
  onBytes: (bytes: Buffer) => Promise<void> | void;
  /** Bytes overwritten before they could be read. */
  onSkipped?: (bytes: number) => void;
  /** After each answer. */
  onRun?: (run: RunView, printed: number) => void;
}

/** Resolves with the run as of the end of the output read. Rejects when `signal` aborts. */
export async function follow(client: GatewayClient, id: string, options: FollowOptions): Promise<RunView> {
  let { offset } = options;
  for (;;) {
    const params = {
      id,
      stream: options.stream ?? "stdout",
      offset,
      bytesMax,
      waitMs: options.follow ? waitMs : 0,
      viewer: options.viewer,
      pace: options.pace ?? false,
      ...(options.caller === undefined ? {} : { caller: options.caller }),
    };
    const piece = await patiently(() => client.call("run.log", params, { signal: options.signal }), options.signal);
    const bytes = Buffer.from(piece.bytes, "base64");
    if (piece.offset > offset && offset >= 0) options.onSkipped?.(piece.offset - offset);
    offset = piece.nextOffset;
    options.onRun?.(piece.run, piece.printed);
    if (bytes.length > 0) await options.onBytes(bytes);
    const isAtEnd = offset >= piece.printed;
    if (isAtEnd && (piece.run.state === "exited" || !options.follow)) return piece.run;
  }
}

/** Retries while the front is being replaced; the offset keeps the position. */
export async function patiently<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const deadline = systemClock.monotonic() + reconnectBoundMs;
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      const passes =
        thrown instanceof HoldfastError && ["gateway_unreachable", "gateway_busy", "answer_late"].includes(thrown.code);
      if (!passes || signal?.aborted === true || systemClock.monotonic() > deadline) throw thrown;
      await systemClock.sleep(reconnectEveryMs);
    }
  }
}

/** Writes to stdout at the reader's pace. */
export function print(bytes: Buffer): Promise<void> {
  return write(process.stdout, bytes);
}

/** Writes to stderr at the reader's pace. */
export function printError(bytes: Buffer): Promise<void> {
  return write(process.stderr, bytes);
}

async function write(stream: NodeJS.WriteStream, bytes: Buffer): Promise<void> {
  if (!stream.write(bytes)) await once(stream, "drain");
}
