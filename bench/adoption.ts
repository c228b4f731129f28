/** What does the death of the front cost? 20 clients on 3 servers each call without pause while the front is killed 20 times. */
import { playKills } from "../test/helpers/front-kills.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { lightServers } from "../test/helpers/session-rounds.ts";
import { renderTable } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { median } from "./load.ts";
import { machineLine, megabytes } from "./machine.ts";

const shape = { clients: 20, servers: ["a", "b", "c"], kills: 20 };
const answeredMsMax = 1000;

export async function run(): Promise<boolean> {
  const tier = bestTier();
  const mcpServers = Object.fromEntries(shape.servers.map((name) => [name, lightServers.light]));
  await using home = new Home(tier, { mcpServers, limits: { frontRestartsMax: 1000 } });
  await using gateway = await Gateway.start(home);
  const { facts, before, after } = await playKills(gateway, shape);
  const heads = [
    "kill",
    "serves again ms",
    "all answered ms",
    "calls lost per session, most",
    "processes",
    "keeper fds",
  ];
  const rows = facts.map((found, index) => [
    index + 1,
    found.servingMs,
    found.answeredMs,
    found.lostCalls,
    found.processes,
    found.keeperDescriptors,
    megabytes(found.keeperBytes),
    megabytes(found.frontBytes),
  ]);
  const sessions = shape.clients * shape.servers.length;
  console.log(
    `\nadoption: ${sessions} sessions (${shape.clients} clients on ${shape.servers.length} light stub servers each), each calling every 20 ms, tier ${tier}\n${machineLine()}\n`,
  );
  console.log(renderTable([...heads, "keeper RSS MB", "front RSS MB"], rows));
  const same = before.length === sessions && before.join() === after.join();
  const answered = facts.map(({ answeredMs }) => answeredMs);
  const slowest = Math.max(...answered);
  console.log(
    `\nanswered again: median ${median(answered)} ms, at most ${slowest} ms (bound ${answeredMsMax}); the ${sessions} servers are ${same ? "the same processes" : "NOT THE SAME"} before and after`,
  );
  return same && slowest < answeredMsMax;
}
