/** A node's front in its process: it serves the gateway until its keeper drains it, or says why it cannot. */
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import { NodeFront, type NodeSurroundings } from "./front.ts";

/** Resolves when there is nothing left to do but wait for `exit`, which the keeper's drain calls. */
export async function serveNode(
  link: KeeperLink,
  { exit, ...surroundings }: NodeSurroundings & { exit: (code: number) => void },
): Promise<void> {
  const { node: settings } = link.hello;
  if (settings === null) throw new HoldfastError("usage", "this is the front of a node, and its keeper is a gateway's");
  try {
    const front = new NodeFront(link, settings, surroundings);
    link.onDrain((reason) => void front.close(reason).then(() => exit(0)));
    await front.run();
  } catch (thrown) {
    const { code, message } = asHoldfastError(thrown);
    link.finished({ exitCode: null, failure: { code, message } });
  }
}
