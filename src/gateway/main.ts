/**
 * Entry of the gateway front, the process on the network. Without its keeper it ends immediately, since it owns
 * nothing.
 */
import { asHoldfastError } from "../errors.ts";
import { stderrLog } from "../log.ts";
import { openKeeperChannel } from "../protocol/keeper/channel.ts";
import { KeeperLink } from "../protocol/keeper/link.ts";
import { systemSources } from "../random.ts";
import { serve } from "./front.ts";
import { listenAll } from "./listen.ts";

/** Ctrl-C and service managers signal the whole group; the keeper decides what follows. */
function leaveSignalsToKeeper(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
}

async function main(): Promise<void> {
  leaveSignalsToKeeper();
  const exit = (code: number) => process.exit(code);
  const link = await KeeperLink.open(openKeeperChannel(), systemSources.clock, () => exit(1));
  try {
    await serve(link, { ...systemSources, log: stderrLog, listen: listenAll, exit });
  } catch (thrown) {
    await link.failed(asHoldfastError(thrown));
    exit(1);
  }
}

await main();
