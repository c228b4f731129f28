/** Clients of Windows at a gateway of Linux, by `holdfast mcp`. */
import { it } from "node:test";
import { Background } from "../helpers/background.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { playInside } from "./inside.ts";
import { WindowsMachine } from "./machine.ts";
import { programVariable } from "./program.ts";

const light = { command: "sh", args: [fixture("light-server.sh")] };

it(
  "clients of Windows leave no session and no process of it",
  { skip: needsWine(), timeout: patiently(200_000) },
  async (t) => {
    await using home = new Home(bestTier(), {
      mcpServers: { light },
      stop: { stdinGraceMs: 100, termGraceMs: 300 },
    });
    const gateway = await Gateway.start(home);
    const runs = new Background(gateway);
    await using machine = await WindowsMachine.start();
    const env = { ...programVariable, HOLDFAST_URL: gateway.url, HOLDFAST_TOKEN: gateway.token };
    await playInside(machine, t, "mcp.ts", { testsMin: 2, env });
    await until("no session is left", async () => (await runs.call("session.list", {})).length === 0, {
      boundMs: 10_000,
    });
    await until("no process of wine is left", () => machine.live().length === 0, { boundMs: 5000 });
    await gateway.stop();
  },
);
