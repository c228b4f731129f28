/** Holdfast itself, compiled, on the best tier that this machine has. */
import { Gateway } from "../../test/helpers/gateway.ts";
import { Home } from "../../test/helpers/home.ts";
import { everythingFile } from "../../test/helpers/servers.ts";
import { bestTier } from "../../test/helpers/tiers.ts";
import type { Contender } from "./contender.ts";
import { HttpCaller } from "./http-client.ts";

export async function startHoldfast(): Promise<Contender> {
  const server = { command: process.execPath, args: [everythingFile(), "stdio"] };
  const home = new Home(bestTier(), { mcpServers: { everything: server } });
  const gateway = await Gateway.start(home);
  const caller = new HttpCaller(`${gateway.url}/mcp/everything`, gateway.token);
  await caller.initialize();
  return {
    name: "holdfast",
    relayPid: gateway.pids.keeper,
    call: caller.call,
    async [Symbol.asyncDispose]() {
      caller.close();
      await gateway.stop();
      await home[Symbol.asyncDispose]();
    },
  };
}
