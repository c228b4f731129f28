/** `holdfast status`: what runs, how well it is contained, and what failed. */
import type { CrashView } from "../protocol/keeper/status.ts";
import { systemClock } from "../clock.ts";
import { GatewayClient } from "../client/rpc.ts";
import type { GatewayStatus } from "../protocol/api/gateway.ts";
import type { CommandContext } from "./context.ts";
import { recordOf, whyOf } from "./crashes.ts";
import { count, duration, labelled, megabytes, printJson, printLines, time } from "./print.ts";

type Row = [label: string, value: string];

/** Most crashes shown; the crashes directory has all. */
const crashesShown = 5;

export async function status(context: CommandContext): Promise<number> {
  const found = await new GatewayClient(context).call("gateway.status", {});
  if (context.json) printJson(found);
  else printLines(describe(found));
  return 0;
}

function describe(found: GatewayStatus): string[] {
  const { keeper, front, guardian } = found;
  return [
    `holdfast ${found.version} at ${found.urls.join(" and ")}`,
    ...labelled([
      ["containment", found.tier],
      ["running for", `${duration(systemClock.now() - found.startedAt)}, epoch ${found.epoch}`],
      ["keeper", `pid ${keeper.pid}, ${megabytes(keeper.rssBytes)}`],
      ["front", describeHelper(front)],
      ["guardian", describeHelper(guardian)],
      ["sessions", String(found.sessions)],
      ["runs", String(found.runs)],
      ...found.unavailableServers.map(({ name, problem }): Row => ["unavailable", `${name}: ${problem}`]),
      ...found.silentServers.map(describeSilent),
      ...describeNodes(found.nodes),
      ...found.hosts.map(describeHost),
      [
        "last start",
        found.orphansSwept === 0 ? "found no orphans" : `found and ended ${count(found.orphansSwept, "orphan")}`,
      ],
      ...found.reconciled.map((line): Row => ["", `  ${line}`]),
    ]),
    ...describeCrashes(found.crashes),
  ];
}

function describeHelper({ pid, rssBytes, restarts, problem }: GatewayStatus["guardian"]): string {
  const restarted = restarts === 0 ? "" : `, restarted ${count(restarts, "time")}`;
  if (pid === 0) return `none${problem === null ? "" : `: ${problem}`}; tried again every second${restarted}`;
  return `pid ${pid}, ${megabytes(rssBytes)}${restarted}`;
}

function describeSilent({ name, silentSince }: GatewayStatus["silentServers"][number]): Row {
  const since = duration(systemClock.now() - silentSince);
  return ["silent", `${name}: no answer for ${since}; sessions go on without it`];
}

function describeNodes({ connected, absent, pending, runs }: GatewayStatus["nodes"]): Row[] {
  if (connected + absent + pending === 0) return [];
  const waiting = pending === 0 ? "" : `, ${pending} to be approved (holdfast nodes pending)`;
  return [["nodes", `${connected} connected, ${absent} absent${waiting}; ${count(runs, "run")}`]];
}

function describeHost({ host, tier, connections, runs, silentSince, sweeping }: GatewayStatus["hosts"][number]): Row {
  const held =
    tier === null ? "not reached yet" : `${tier}, ${count(connections, "connection")}, ${count(runs, "run")}`;
  const silence = silentSince === null ? "" : `, no answer for ${duration(systemClock.now() - silentSince)}`;
  return ["host", `${host}: ${held}${silence}${sweeping ? "; still to be looked at for what was left there" : ""}`];
}

function describeCrashes(crashes: CrashView[]): string[] {
  if (crashes.length === 0) return ["  crashes      none"];
  const newest = crashes.toSorted((a, b) => b.at - a.at).slice(0, crashesShown);
  const lines = newest.flatMap((crash) => {
    const last = crash.lastMethod === null ? "" : `, last began ${crash.lastMethod}`;
    return [
      `    ${time(crash.at)}  ${crash.who} (pid ${crash.pid}): ${whyOf(crash)}${last}`,
      `      ${recordOf(crash)}`,
    ];
  });
  const more = crashes.length > newest.length ? `, the newest ${newest.length}` : "";
  return [`  crashes      ${crashes.length}${more}:`, ...lines];
}
