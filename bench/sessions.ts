/**
 * What does a session cost? Processes and memory of its servers, started by node, by npx and with `resolveNpx`, per session and pooled; how
 * long from its end until nothing is left; and a day's subagents: 500 child sessions with three light servers each.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  countedServers,
  inLanes,
  nothingLeft,
  runsOf,
  sessionsOf,
  startsAtOnce,
  visitor,
} from "../test/helpers/crowd.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { everythingFile, everythingVersion } from "../test/helpers/servers.ts";
import { renderTable } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { machineLine, megabytes, residentBytes, treeOf } from "./machine.ts";

const sessions = 8;
const children = 500;
const lanes = 6;
const startsMax = 4;

const node = { command: process.execPath, args: [everythingFile(), "stdio"] };
/** As in many a client's config; the package comes from the registry, before anything is measured. */
const npx = { command: "npx", args: ["-y", `@modelcontextprotocol/server-everything@${everythingVersion()}`] };
const resolved = { ...npx, resolveNpx: true };

async function costOf(name: string, server: object): Promise<(string | number)[]> {
  await using home = new Home(bestTier(), { mcpServers: { everything: server } });
  await using gateway = await Gateway.start(home);
  const open = async () => {
    const client = gateway.mcp("everything");
    await client.initialize();
    const answer = await client.call("echo", { message: "hold" });
    if (answer.error !== undefined) throw new Error(answer.error.message);
    return client;
  };
  // So that what is fetched or installed once is there.
  const first = await open();
  await first.delete();
  first.vanish();
  await nothingLeft(gateway, 60_000);
  const before = new Set(treeOf(gateway.pids.keeper));
  const clients = await Promise.all(Array.from({ length: sessions }, open));
  const added = treeOf(gateway.pids.keeper).filter((pid) => !before.has(pid));
  const bytes = added.reduce((sum, pid) => sum + residentBytes(pid), 0);
  const began = performance.now();
  await Promise.all(clients.map((client) => client.delete()));
  await nothingLeft(gateway);
  const ms = Math.round(performance.now() - began);
  for (const client of clients) client.vanish();
  return [name, (added.length / sessions).toFixed(1), megabytes(bytes / sessions), ms];
}

async function subagents(): Promise<boolean> {
  await using home = new Home(bestTier());
  const marks = join(home.directory, "marks");
  writeFileSync(marks, "", { mode: 0o666 });
  home.configure({ mcpServers: countedServers(3, marks), limits: { startsMax } });
  await using gateway = await Gateway.start(home);
  using parent = await visitor(gateway, 3);
  let most = 0;
  const began = performance.now();
  await inLanes(children, lanes, async (n) => {
    using child = await visitor(gateway, 3, { "x-holdfast-parent": parent.sessionId ?? "" });
    most = Math.max(most, await runsOf(gateway));
    // Every tenth is forgotten and left to the parent's end.
    if (n % 10 !== 0) await child.delete();
  });
  const seconds = (performance.now() - began) / 1000;
  const kept = (await sessionsOf(gateway)).length;
  await parent.delete();
  await nothingLeft(gateway, 60_000);
  const bound = (1 + lanes + children / 10) * 3;
  console.log(
    `\n${children} child sessions × 3 light servers in ${seconds.toFixed(1)} s (${(children / seconds).toFixed(1)} a second): at most ${most} runs (bound ${bound}), ` +
      `${startsAtOnce(marks)} starts at once (limit ${startsMax}), ${kept} sessions at the end, 0 runs after the parent's DELETE`,
  );
  return most <= bound && startsAtOnce(marks) <= startsMax;
}

export async function run(): Promise<boolean> {
  const rows = [
    await costOf("node, per session", node),
    await costOf("npx, per session", npx),
    await costOf("npx resolved, per session", resolved),
    await costOf("node, pooled", { ...node, share: "pool" }),
    await costOf("npx, pooled", { ...npx, share: "pool" }),
    await costOf("npx resolved, pooled", { ...resolved, share: "pool" }),
  ];
  console.log(`\nsessions: server-everything, ${sessions} sessions with one call each\n${machineLine()}\n`);
  const head = ["", "processes per session", "RSS MB per session", "all ended to empty, ms"];
  console.log(renderTable(head, rows));
  return subagents();
}
