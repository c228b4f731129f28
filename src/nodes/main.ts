/** Entry of a node's front: started by its keeper, it dials the gateway, authenticates and relays requests. */
import { once } from "node:events";
import { systemSources } from "../random.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import { KeeperLink } from "../protocol/keeper/link.ts";
import { NodeFront } from "./node/front.ts";

async function main(): Promise<void> {
  // Without its keeper it serves no purpose; the guardian ends the runs.
  const link = await KeeperLink.open(systemSources.clock, () => process.exit(0));
  const { node: settings } = link.hello;
  if (settings === null) throw new HoldfastError("usage", "this is the front of a node, and its keeper is a gateway's");
  try {
    const front = new NodeFront(link, settings, systemSources);
    link.onDrain((reason) => void front.close(reason).then(() => process.exit(0)));
    await front.run();
  } catch (thrown) {
    const { code, message } = asHoldfastError(thrown);
    link.finished({ exitCode: null, failure: { code, message } });
    // The keeper's drain ends this process.
    await once(process, "disconnect");
  }
}

await main();
