/**
 * What happens to the processes when their owner ends? Opens sessions on real MCP servers and on one that nothing polite can end,
 * leaves calls in flight, ends the owner in every way there is, and counts who is left: under Holdfast, and under a host that
 * uses the MCP SDK's own transport. Exits 1 if Holdfast left anyone, or if the count under the SDK shows that it cannot count.
 */
import { play, scenarios, stop, type Played, type Scenario } from "../test/helpers/scenarios.ts";
import { playSdk, type SdkPlayed } from "../test/helpers/sdk-column.ts";
import { everything, filesystem, stubborn, type Server } from "../test/helpers/servers.ts";
import { stopEveryGateway } from "../test/helpers/gateway.ts";
import { killEveryList } from "../test/helpers/pids.ts";
import { renderTable, type Cell } from "../test/helpers/table.ts";
import { bestTier, tierProblem, type TierName } from "../test/helpers/tiers.ts";

const serversIn = (pidFile: string, directory: string): Record<string, Server> => ({
  everything: everything(pidFile),
  filesystem: filesystem(pidFile, directory),
  stubborn: stubborn(pidFile),
});

const began = performance.now();

function tell(text: string): void {
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${text}`);
}

const rolesOf = (left: { role: string }[]) => (left.length === 0 ? "" : `: ${left.map(({ role }) => role).join(", ")}`);

async function playHoldfast(scenario: Scenario, tier: TierName): Promise<Played> {
  const played = await play(scenario, tier, (home) => serversIn(home.pidFile, home.directory));
  tell(
    `Holdfast, ${scenario.name} (${tier}): ${played.survivors.length} of ${played.listed} left after ${played.ms} ms${rolesOf(played.survivors)}`,
  );
  return played;
}

async function playHost(scenario: Scenario): Promise<SdkPlayed> {
  const played = await playSdk(scenario.hostEndsBy, serversIn);
  tell(`MCP SDK,  ${scenario.name}: ${played.survivors.length} of ${played.listed} left${rolesOf(played.survivors)}`);
  return played;
}

/** What Holdfast's column says, with the rows marked that the tier does not guarantee. */
function holdfastCells(played: Played, scenario: Scenario): Cell[] {
  const mark = scenario.bestEffort?.tier === played.tier ? " (best effort)" : "";
  return [`${played.survivors.length} of ${played.listed}${mark}`, played.ms];
}

interface Row {
  scenario: Scenario;
  ours: Played;
  sdk?: SdkPlayed;
}

async function playTier(tier: TierName, beside: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const scenario of scenarios) {
    if (!beside) {
      rows.push({ scenario, ours: await playHoldfast(scenario, tier) });
      continue;
    }
    // Side by side in time too: the host's close() takes four seconds, most of them waiting.
    const hosted = playHost(scenario);
    const [ours] = await Promise.allSettled([playHoldfast(scenario, tier), hosted]);
    if (ours.status === "rejected") throw ours.reason;
    rows.push({ scenario, ours: ours.value, sdk: await hosted });
  }
  return rows;
}

function printRows(tier: TierName, rows: Row[]): void {
  console.log(
    `\nProcesses left when their owner ended, tier ${tier}. Milliseconds run from the event until nobody was left;\nan orderly end gives ${stop.stdinGraceMs} ms after the end of stdin and ${stop.termGraceMs} ms after SIGTERM before it kills.\n`,
  );
  const beside = rows.some(({ sdk }) => sdk !== undefined);
  const heads = [
    "how the owner ended",
    "left by Holdfast",
    "ms",
    ...(beside ? ["left by the MCP SDK's StdioClientTransport"] : []),
  ];
  const cells = rows.map(({ scenario, ours, sdk }) => [
    scenario.name,
    ...holdfastCells(ours, scenario),
    ...(sdk === undefined
      ? []
      : [`${sdk.survivors.length} of ${sdk.listed} (host ${scenario.hostEndsBy === "close" ? "close()" : "kill -9"})`]),
  ]);
  console.log(renderTable(heads, cells));
}

async function main(): Promise<number> {
  const tier = bestTier();
  console.log(
    `Servers: everything, filesystem, and a stubborn one with four hidden helpers; calls in flight. Containment tier: ${tier}.\n`,
  );
  const rows = await playTier(tier, true);
  // The weaker tier is shown where this machine can give both.
  const weaker = tier === "cgroup" && tierProblem("subreaper") === undefined ? await playTier("subreaper", false) : [];
  printRows(tier, rows);
  if (weaker.length > 0) printRows("subreaper", weaker);

  const broken = [...rows, ...weaker].flatMap(({ scenario, ours }) =>
    ours.broken.map(({ role }) => `${scenario.name} (${ours.tier}): ${role}`),
  );
  for (const line of broken) console.error(`HOLDFAST LEFT A SURVIVOR: ${line}`);
  const blind = rows.filter(
    ({ sdk }) => sdk?.survivors.every(({ role }) => role === "everything" || role === "filesystem") === true,
  );
  for (const { scenario } of blind)
    console.error(`THE CHECK IS BROKEN: no survivor of the stubborn server under the SDK (${scenario.name})`);
  console.log(
    `\n${broken.length === 0 ? "Holdfast left nobody behind that it guarantees to end." : "Holdfast broke its promise."}`,
  );
  return broken.length === 0 && blind.length === 0 ? 0 : 1;
}

/** An interrupted demo leaves nothing either: its gateways end in order, and what the SDK left is ended by pid and start time. */
async function leave(): Promise<void> {
  await Promise.allSettled([stopEveryGateway(), killEveryList()]);
  process.exit(130);
}

process.once("SIGINT", () => void leave());
process.once("SIGTERM", () => void leave());
process.exitCode = await main();
