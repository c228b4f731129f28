/** Does anything stay behind when sessions come and go? Rounds of 200 sessions; what a leak would make grow is read between rounds. */
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { lightServers, playRounds } from "../test/helpers/session-rounds.ts";
import { renderTable } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { median } from "./load.ts";
import { machineLine, megabytes } from "./machine.ts";

const shape = { rounds: 6, sessions: 200, atOnce: 4 };

export async function run(): Promise<boolean> {
  const tier = bestTier();
  await using home = new Home(tier, { mcpServers: lightServers });
  await using gateway = await Gateway.start(home);
  const facts = await playRounds(gateway, shape);
  const heads = [
    "round",
    "ms",
    "ms per session",
    "processes",
    "keeper fds",
    "front fds",
    "keeper RSS MB",
    "front RSS MB",
  ];
  const rows = facts.map((found, index) => [
    index + 1,
    found.ms,
    (found.ms / shape.sessions).toFixed(1),
    found.processes,
    found.keeperDescriptors,
    found.frontDescriptors,
    megabytes(found.keeperBytes),
    megabytes(found.frontBytes),
  ]);
  console.log(
    `\nsessions-loop: ${shape.sessions} sessions a round, ${shape.atOnce} at a time, a light stub server, tier ${tier}\n${machineLine()}\n`,
  );
  console.log(renderTable(heads, rows));
  console.log(`\nmedian ${Math.round(median(facts.map(({ ms }) => ms)))} ms a round`);
  return true;
}
