/**
 * What do published servers cost as their users start them, by npx and as `node bin`? Time to the first list, processes, memory,
 * time from DELETE until nothing is left; then 50 child sessions with three of them each.
 */
import type { RunView } from "../src/protocol/run.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { renderTable } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { until } from "../test/helpers/until.ts";
import { casesIn, type Case } from "../test/servers/helpers/cases.ts";
import { raise } from "../test/servers/helpers/children.ts";
import { findProgram } from "../test/helpers/needs.ts";
import { installServers, openPlace, startedBy, type Launch } from "../test/servers/helpers/published.ts";
import { machineLine, megabytes } from "./machine.ts";

const children = 50;
const boundMs = 60_000;
const launches: Launch[] = ["npx", "node"];

export async function run(): Promise<boolean> {
  const { found, skip } = await installServers();
  if (found === undefined) {
    console.error(skip);
    return false;
  }
  const tier = bestTier();
  const rows = await costs();
  console.log(`\npublished: one session each, tier ${tier}\n${machineLine()}\n`);
  console.log(
    renderTable(["server", "started by", "first list ms", "processes", "RSS MB", "DELETE to empty ms"], rows),
  );
  const seen = await raise(found, children);
  const { seconds, most, bound, startsAtOnce, startsMax, sessions, left } = seen;
  console.log(
    `\n${children} child sessions × 3 published servers in ${seconds.toFixed(1)} s (${(children / seconds).toFixed(1)} a second): at most ${most} runs (bound ${bound}), ` +
      `${startsAtOnce} starts at once (limit ${startsMax}), ${sessions} sessions at the end, ${left.length} processes after the parent's DELETE`,
  );
  return most <= bound && startsAtOnce <= startsMax && left.length === 0;
}

async function costs(): Promise<(string | number)[][]> {
  const { found } = await installServers();
  await using home = new Home(bestTier());
  await using place = await openPlace(home);
  const chromium = findProgram("chromium");
  const cases = Object.values(casesIn(place, chromium)).filter(
    ({ name }) => name !== "browser" || chromium !== undefined,
  );
  const all = cases.flatMap((one) =>
    launches.map((launch) => [`${one.name}-${launch}`, startedBy(launch, found, one, place.temporary)] as const),
  );
  home.configure({ mcpServers: Object.fromEntries(all) });
  await using gateway = await Gateway.start(home);
  const rows: (string | number)[][] = [];
  for (const one of cases) for (const launch of launches) rows.push(await costOf(gateway, one, launch));
  return rows;
}

async function costOf(gateway: Gateway, one: Case, launch: Launch): Promise<(string | number)[]> {
  using client = gateway.mcp(`${one.name}-${launch}`);
  const began = performance.now();
  await client.initialize();
  await client.request("tools/list", {}, boundMs);
  const listMs = Math.round(performance.now() - began);
  if (one.given !== undefined) await client.call(one.tool, { ...one.given }, boundMs);
  const runs = async () => (await gateway.rpc("run.list")) as RunView[];
  const tree = (await runs()).flatMap(({ processes }) => processes);
  const bytes = tree.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
  const ended = performance.now();
  await client.delete();
  await until("nothing is left", async () => (await runs()).length === 0, { boundMs });
  return [one.name, launch, listMs, tree.length, megabytes(bytes), Math.round(performance.now() - ended)];
}
