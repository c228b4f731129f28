/** Holdfast itself, compiled, on the best tier that this machine has: joined to one server, over all of them, pooled, and to clients without sessions. */
import { Gateway } from "../../test/helpers/gateway.ts";
import { Home } from "../../test/helpers/home.ts";
import { everythingFile } from "../../test/helpers/servers.ts";
import { bestTier } from "../../test/helpers/tiers.ts";
import type { Contender } from "./contender.ts";
import { HttpCaller } from "./http-client.ts";

interface Way {
  path?: string;
  tool?: string;
  settings?: object;
  /** The client speaks revision 2026-07-28. */
  isStateless?: boolean;
}

async function start(name: string, way: Way = {}): Promise<Contender> {
  const { path = "/mcp/everything", tool = "echo", settings = {}, isStateless = false } = way;
  const server = { command: process.execPath, args: [everythingFile(), "stdio"], ...settings };
  const home = new Home(bestTier(), { mcpServers: { everything: server } });
  const gateway = await Gateway.start(home);
  const caller = new HttpCaller(`${gateway.url}${path}`, gateway.token, tool);
  if (isStateless) caller.keepNoSession();
  else await caller.initialize();
  return {
    name,
    relayPid: gateway.pids.keeper,
    call: caller.call,
    async [Symbol.asyncDispose]() {
      caller.close();
      await gateway.stop();
      await home[Symbol.asyncDispose]();
    },
  };
}

export const startHoldfast = () => start("holdfast");
export const startAggregated = () => start("holdfast at /mcp", { path: "/mcp", tool: "everything__echo" });
export const startPooled = () => start("holdfast, pooled", { settings: { share: "pool" } });
export const startStateless = () => start("holdfast to a 2026-07-28 client", { isStateless: true });
export const startStatelessAggregated = () =>
  start("holdfast at /mcp to a 2026-07-28 client", { path: "/mcp", tool: "everything__echo", isStateless: true });
