/** `holdfast logs RUN [-f]`: what a run printed, from its beginning or its last bytes on. */
import { GatewayClient } from "../client/rpc.ts";
import type { CommandContext } from "./context.ts";
import { follow, print } from "./follow.ts";

export async function logs(
  context: CommandContext,
  id: string,
  options: { follow: boolean; tail?: number },
): Promise<number> {
  const client = new GatewayClient(context);
  const offset = options.tail === undefined ? 0 : -options.tail;
  await follow(client, id, {
    offset,
    follow: options.follow,
    viewer: options.follow,
    onBytes: print,
    onSkipped: (bytes) => process.stderr.write(`\nholdfast: ${bytes} bytes are not kept any more\n`),
  });
  return 0;
}
