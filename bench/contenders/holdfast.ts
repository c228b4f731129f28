/** Holdfast itself, compiled, on the best tier that this machine has: joined to one server, over all of them, and pooled. */
import { Gateway } from "../../test/helpers/gateway.ts";
import { Home } from "../../test/helpers/home.ts";
import { everythingFile } from "../../test/helpers/servers.ts";
import { bestTier } from "../../test/helpers/tiers.ts";
import type { Contender } from "./contender.ts";
import { HttpCaller } from "./http-client.ts";

async function start(name: string, path: string, tool: string, settings: object): Promise<Contender> {
  const server = { command: process.execPath, args: [everythingFile(), "stdio"], ...settings };
  const home = new Home(bestTier(), { mcpServers: { everything: server } });
  const gateway = await Gateway.start(home);
  const caller = new HttpCaller(`${gateway.url}${path}`, gateway.token, tool);
  await caller.initialize();
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

export const startHoldfast = () => start("holdfast", "/mcp/everything", "echo", {});
export const startAggregated = () => start("holdfast at /mcp", "/mcp", "everything__echo", {});
export const startPooled = () => start("holdfast, pooled", "/mcp/everything", "echo", { share: "pool" });
