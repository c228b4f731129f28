/**
 * What does containment cost, how fast is it, and what do others leave? Stop to empty, the owner's kill -9 to zero, memory of
 * the guards, start overhead, and the same stubborn tree under every contender.
 */
import os from "node:os";
import { memoryTable, startTable } from "./contenders/containment/cost.ts";
import { ownerKillTable } from "./contenders/containment/owner-kill.ts";
import { stopTimesTable } from "./contenders/containment/stop-times.ts";
import { survivorsTable } from "./contenders/containment/survivors.ts";
import { killEveryList } from "../test/helpers/pids.ts";
import { stopEveryGateway } from "../test/helpers/gateway.ts";
import { tierProblem, type TierName } from "../test/helpers/tiers.ts";
import { machineLine } from "./machine.ts";

const allTiers: TierName[] = ["cgroup", "subreaper"];

/** Everything is ended by whoever started it; this is for a bench that is interrupted. */
async function abandon(): Promise<void> {
  await Promise.allSettled([killEveryList(), stopEveryGateway()]);
  process.exit(130);
}

export async function run(): Promise<boolean> {
  const tiers = allTiers.filter((tier) => tierProblem(tier) === undefined);
  // Those that open a tier in this very process come last: it is a subreaper from then on.
  const parts: [string, () => Promise<string>][] = [
    ["survivors: five stubborn processes, four of them hidden", survivorsTable],
    ["the owner's kill -9 to zero: a gateway, a light stub of 4 processes a session", () => ownerKillTable(tiers)],
    ["memory of a run's shells", () => memoryTable(tiers)],
    ["start overhead, medians, interleaved", () => startTable(tiers)],
    ["stop to empty, proven, ms, medians", () => stopTimesTable(tiers)],
  ];
  const interrupted = () => void abandon();
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    // Others may be at work on the machine; a reader must see that.
    console.log(`\ncontain: dist/, load average ${os.loadavg()[0]?.toFixed(1)} at the start\n${machineLine()}`);
    for (const [title, table] of parts) console.log(`\n${title}\n\n${await table()}`);
  } finally {
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
  }
  return true;
}
