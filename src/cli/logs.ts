/** `holdfast logs RUN [-f]`: a run's output from its beginning or its last bytes; separate stderr goes to ours. */
import { GatewayClient } from "../client/rpc.ts";
import type { CommandContext } from "./context.ts";
import { follow, print, printError } from "./follow.ts";

export async function logs(
  context: CommandContext,
  id: string,
  options: { follow: boolean; tail?: number },
): Promise<number> {
  const client = new GatewayClient(context);
  // Reads below wait for a restarting gateway; a missing one is reported at once.
  await client.call("run.wait", { id, waitMs: 0 });
  const offset = options.tail === undefined ? 0 : -options.tail;
  const read = (stream: "stdout" | "stderr") =>
    follow(client, id, {
      stream,
      offset,
      follow: options.follow,
      viewer: options.follow,
      onBytes: stream === "stdout" ? print : printError,
      onSkipped: (bytes) => process.stderr.write(`\nholdfast: ${bytes} bytes are no longer kept\n`),
    });
  await Promise.all([read("stdout"), read("stderr")]);
  return 0;
}
