/** A session of this process at the gateway: it ends with its socket, and so with this process, whatever the cause. */
import { HoldfastClient } from "../client/client.ts";
import { HoldfastError } from "../errors.ts";
import { version } from "../version.ts";
import type { CommandContext } from "./context.ts";
import { reconnectBoundMs } from "./follow.ts";

/** How long it survives a lost connection. */
const leaseMs = 10_000;

export interface CallerSession extends AsyncDisposable {
  /** Id of the session. */
  readonly id: string;
}

/** Throws as `openSession` does. `name`: shown in `sessions list`. */
export async function openCallerSession(context: CommandContext, name: string): Promise<CallerSession> {
  // Matches the retries of output: without both there is nothing to wait for.
  const client = await HoldfastClient.connect({ ...context, reconnectMs: reconnectBoundMs });
  try {
    const { id } = await client.openSession({ client: { name, version }, leaseMs });
    return {
      id,
      async [Symbol.asyncDispose]() {
        // It is empty by now; if the gateway is gone, so is the session.
        await client.endSession(id).catch(() => {});
        await client.close();
      },
    };
  } catch (thrown) {
    await client.close();
    throw thrown;
  }
}

/** Undefined if the gateway has no room for a session: the command matters more than tracking its caller. */
export async function openCallerSessionIfPossible(
  context: CommandContext,
  name: string,
): Promise<CallerSession | undefined> {
  try {
    return await openCallerSession(context, name);
  } catch (thrown) {
    if (thrown instanceof HoldfastError && ["session_limit", "gateway_busy"].includes(thrown.code)) return undefined;
    throw thrown;
  }
}
