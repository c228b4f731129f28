/** A session that stands for this process at the gateway: its socket is gone the moment this process is, however it ends. */
import { HoldfastClient } from "../client/client.ts";
import { HoldfastError } from "../errors.ts";
import { version } from "../version.ts";
import type { CommandContext } from "./context.ts";
import { reconnectBoundMs } from "./follow.ts";

/** How long it outlives a connection that the gateway's front broke, or that was lost on its way. */
const leaseMs = 10_000;

export interface Presence extends AsyncDisposable {
  /** Id of the session. */
  readonly id: string;
}

/** Throws as `openSession` does. `name`: what is shown of this process in `sessions list`. */
export async function bePresent(context: CommandContext, name: string): Promise<Presence> {
  // No longer than output is asked for again: without either nothing is to be waited for.
  const client = await HoldfastClient.connect({ ...context, reconnectMs: reconnectBoundMs });
  try {
    const { id } = await client.openSession({ client: { name, version }, leaseMs });
    return {
      id,
      async [Symbol.asyncDispose]() {
        // Nothing is in it any longer; a gateway that is gone has ended it, too.
        await client.endSession(id).catch(() => {});
        await client.close();
      },
    };
  } catch (thrown) {
    await client.close();
    throw thrown;
  }
}

/** As `bePresent`, or undefined where the gateway has no room for a session: the command is worth more than the watch over it. */
export async function bePresentIfThereIsRoom(context: CommandContext, name: string): Promise<Presence | undefined> {
  try {
    return await bePresent(context, name);
  } catch (thrown) {
    if (thrown instanceof HoldfastError && ["session_limit", "gateway_busy"].includes(thrown.code)) return undefined;
    throw thrown;
  }
}
