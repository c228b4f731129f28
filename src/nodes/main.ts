/** Entry of a node's front: started by its keeper, it dials the gateway, authenticates and relays requests. */
import { once } from "node:events";
import { connect } from "node:net";
import { systemSources } from "../random.ts";
import { openKeeperChannel } from "../protocol/keeper/channel.ts";
import { KeeperLink } from "../protocol/keeper/link.ts";
import { serveNode } from "./node/serve.ts";

async function main(): Promise<void> {
  const exit = (code: number) => process.exit(code);
  // Without its keeper it serves no purpose; the guardian ends the runs.
  const link = await KeeperLink.open(openKeeperChannel(), systemSources.clock, () => exit(0));
  await serveNode(link, { ...systemSources, connectTcp: (target) => connect(target), exit });
  // The keeper's drain ends this process.
  await once(process, "disconnect");
}

await main();
