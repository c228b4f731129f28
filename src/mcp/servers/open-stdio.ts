/** Opens the wire to a stdio server as configured: locally, on a node, or on the fallback of an absent node. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import { asHoldfastError, type ErrorCode } from "../../errors.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { Log } from "../../log.ts";
import { NodeWire, type NodeServers, type NodeWireParams } from "./node-wire.ts";
import { StdioWire, type StdioWireParams } from "./stdio-wire.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** Errors of an absent node; any other error would also occur elsewhere. */
const awayCodes: ErrorCode[] = ["node_absent", "node_lost", "node_unknown"];

export function isNodeAway(code: ErrorCode): boolean {
  return awayCodes.includes(code);
}

export interface OpenStdioParams extends Pick<StdioWireParams, "clock" | "sessionId" | "scope"> {
  link: KeeperLink;
  nodes: NodeServers;
  server: FrontServer;
  log: Log;
}

/** Rejects when the server cannot be started; then there is nothing to close. */
export async function openStdio(params: OpenStdioParams, events: WireEvents): Promise<Wire> {
  const { server, log } = params;
  const place = server.node;
  const here = () => StdioWire.open({ ...params, server: server.name }, events);
  if (place === undefined) return here();
  const on = (host: string) => NodeWire.open({ ...params, place, host } satisfies NodeWireParams, events);
  try {
    return await on(place.host);
  } catch (thrown) {
    const { code, message } = asHoldfastError(thrown);
    const { host, fallback } = place;
    if (fallback === null || !isNodeAway(code) || params.scope.closing) throw thrown;
    log("mcp.elsewhere", { server: server.name, node: host, host: fallback, why: message });
    return fallback === "local" ? here() : on(fallback);
  }
}
