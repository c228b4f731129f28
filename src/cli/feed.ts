/** Passes this process's stdin on to a run, one piece after another, at the pace at which the run reads. */
import { systemClock } from "../clock.ts";
import type { GatewayClient } from "../client/rpc.ts";
import { HoldfastError } from "../errors.ts";
import { patiently } from "./follow.ts";

const retryMs = 50;

export interface Feeding {
  /** Stops reading; resolves nothing, and nothing is sent afterwards. */
  close(): void;
}

export interface FeedOptions {
  /** May take a piece for itself: what it returns is sent. */
  intercept?: (bytes: Buffer) => Buffer;
  /** Nobody else feeds this run: what may have been lost with the gateway's front is sent again, and taken once. */
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
  // The end of a terminal's input is ^D, which the program may take or not.
  const onEnd = () => send(isPty ? Buffer.from("\x04") : Buffer.alloc(0), !isPty);
  stdin.on("data", onData).once("end", onEnd);
  return {
    close() {
      closed = true;
      closing.abort();
      stdin.off("data", onData).off("end", onEnd);
      // Also for what is a file or a terminal: nothing is to keep this process alive, or take what is typed next.
      stdin.destroy();
    },
  };
}

interface Piece {
  bytes: Buffer;
  end: boolean;
  /** Offset in all of the run's input; undefined: others write there, too. */
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
    // Nobody knows whether it was taken; who feeds the run alone leaves that to the run's own count.
    if (isSent && at === undefined && bytes.length > 0) return;
    await client.call("run.write", isSent && at !== undefined ? { ...first, at } : first);
  };
  for (;;) {
    try {
      await patiently(() => write().finally(() => (isSent = true)), signal);
      return;
    } catch (thrown) {
      if (!(thrown instanceof HoldfastError) || thrown.code !== "input_full") return; // the run is over; its output says so
      isSent &&= at !== undefined; // nothing of it was taken
      await systemClock.sleep(retryMs);
    }
  }
}
