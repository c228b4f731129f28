/** A real node that a real gateway has let in and knows to be here. */
import type { NodeView } from "../../../src/protocol/api/node.ts";
import type { Gateway } from "../../helpers/gateway.ts";
import { until } from "../../helpers/until.ts";
import { NodeProcess, type NodeGiven } from "./node-process.ts";

const boundMs = 20_000;

/** Resolves when the gateway says that the node is here, or not here. */
export async function isHere(gateway: Gateway, name: string, here = true): Promise<void> {
  const look = async () =>
    ((await gateway.rpc("node.list")) as NodeView[]).some((node) => node.name === name && node.connected) === here;
  await until(`node ${name} is ${here ? "here" : "gone"}`, look, { boundMs, everyMs: 20 });
}

/** A node that was here before comes with its home and needs no invitation. */
export async function joinNode(gateway: Gateway, name: string, given: NodeGiven = {}): Promise<NodeProcess> {
  const words = ["--name", name];
  if (given.home === undefined) {
    const { invite } = (await gateway.rpc("node.invite")) as { invite: string };
    words.push("--invite", invite);
  }
  const node = new NodeProcess(given.url ?? gateway.url, [...words, ...(given.words ?? [])], given);
  try {
    await node.reaches("connected");
    await isHere(gateway, name);
    return node;
  } catch (thrown) {
    await node[Symbol.asyncDispose]();
    throw thrown;
  }
}
