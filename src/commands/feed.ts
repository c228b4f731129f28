/** Passes this process's stdin on to a run, one piece after another, at the pace at which the run reads. */
import type { GatewayClient } from "../client/rpc.ts";
import { HoldfastError } from "../errors.ts";

const retryMs = 50;

export interface Feeding {
  /** Stops reading; resolves nothing, and nothing is sent afterwards. */
  close(): void;
}

/** `intercept` may take a piece for itself: what it returns is sent. */
export function feed(
  client: GatewayClient,
  id: string,
  isPty: boolean,
  intercept: (bytes: Buffer) => Buffer = (bytes) => bytes,
): Feeding {
  const { stdin } = process;
  let closed = false;
  let last = Promise.resolve();
  const send = (bytes: Buffer, end: boolean) => {
    last = last.then(() => (closed ? undefined : deliver(client, id, bytes, end)));
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
      stdin.off("data", onData).off("end", onEnd);
      // Also for what is a file or a terminal: nothing is to keep this process alive, or take what is typed next.
      stdin.destroy();
    },
  };
}

async function deliver(client: GatewayClient, id: string, bytes: Buffer, end: boolean): Promise<void> {
  for (;;) {
    try {
      await client.call("run.write", { id, data: bytes.toString("base64"), encoding: "base64", end });
      return;
    } catch (thrown) {
      if (!(thrown instanceof HoldfastError) || thrown.code !== "input_full") return; // the run is over; its output says so
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}
