/** Sends this process's stdin to a run, piece by piece, at the run's pace. */
import { systemClock } from "../clock.ts";
import type { GatewayClient } from "../client/rpc.ts";
import { HoldfastError } from "../errors.ts";
import { patiently } from "./follow.ts";

const retryMs = 50;

export interface Feeding {
  /** Stops reading; sends nothing afterwards. */
  close(): void;
}

export interface FeedOptions {
  /** May keep part of a piece; sends what it returns. */
  intercept?: (bytes: Buffer) => Buffer;
  /** The only writer to this run: input possibly lost with the gateway's front is sent again, and accepted once. */
  isAlone?: boolean;
}

export function feed(client: GatewayClient, id: string, isPty: boolean, options: FeedOptions = {}): Feeding {
  const { intercept = (bytes) => bytes, isAlone = false } = options;
  const { stdin } = process;
  const closing = new AbortController();
  let closed = false;
  let taken = 0;
  let last = Promise.resolve();
  const send = (bytes: Buffer, end: boolean) => {
    last = last.then(async () => {
      if (closed) return;
      await deliver(client, id, { bytes, end, at: isAlone ? taken : undefined }, closing.signal);
      taken += bytes.length;
    });
  };
  const onData = (chunk: Buffer) => {
    const bytes = intercept(chunk);
    if (bytes.length === 0) return;
    stdin.pause();
    send(bytes, false);
    void last.then(() => {
      if (!closed) stdin.resume();
    });
  };
  // A terminal's end of input is ^D, which the program may handle or ignore.
  const onEnd = () => send(isPty ? Buffer.from("\x04") : Buffer.alloc(0), !isPty);
  stdin.on("data", onData).once("end", onEnd);
  return {
    close() {
      closed = true;
      closing.abort();
      stdin.off("data", onData).off("end", onEnd);
      // For files and terminals too, so that stdin neither keeps this process alive nor takes later keystrokes.
      stdin.destroy();
    },
  };
}

interface Piece {
  bytes: Buffer;
  end: boolean;
  /** Offset in the run's whole input; undefined: there are other writers. */
  at: number | undefined;
}

async function deliver(
  client: GatewayClient,
  id: string,
  { bytes, end, at }: Piece,
  signal: AbortSignal,
): Promise<void> {
  const first = { id, data: bytes.toString("base64"), encoding: "base64", end } as const;
  let isSent = false;
  const write = async () => {
    // Possibly accepted already; for an only writer the run's own count decides.
    if (isSent && at === undefined && bytes.length > 0) return;
    await client.call("run.write", isSent && at !== undefined ? { ...first, at } : first);
  };
  for (;;) {
    try {
      await patiently(() => write().finally(() => (isSent = true)), signal);
      return;
    } catch (thrown) {
      if (!(thrown instanceof HoldfastError) || thrown.code !== "input_full") return; // the run has ended, as its output reports
      isSent &&= at !== undefined; // none of it was accepted
      await systemClock.sleep(retryMs);
    }
  }
}
