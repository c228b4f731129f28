/**
 * Is this checkout slower or larger than a commit? Both are started anew for each pair, in alternating order, so that a
 * noisy machine hurts both alike. A difference counts only where the whole 95 % interval of the ratio lies on one side of 1.
 */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Gateway, mainFile } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { everythingFile } from "../test/helpers/servers.ts";
import { renderTable } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { checkOut } from "./checkout.ts";
import { HttpCaller } from "./contenders/http-client.ts";
import { differs, estimate, pairsMin } from "./interval.ts";
import { median } from "./load.ts";
import { machineLine } from "./machine.ts";

/** Endpoint and name of the tool there. */
const endpoints = { "/mcp/everything": "echo", "/mcp": "everything__echo" };
/** Calls in flight, and how many calls are counted at that. */
const loads = [
  { inFlight: 1, calls: 1500 },
  { inFlight: 32, calls: 6000 },
];
const warmUpCalls = 2000;

/** One look at a gateway: name of the figure → its value; each is better when smaller. */
type Figures = Map<string, number>;

/** Nanoseconds that the threads of a process have run. */
function processorNs(pid: number): number {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`))
    sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1").split(" ")[0]);
  return sum;
}

/** Proportional set size: shared pages count for their share. */
function proportionalBytes(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"))?.[1]) * 1024;
}

async function callMany(call: () => Promise<void>, inFlight: number, calls: number): Promise<void> {
  let left = calls;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      await call();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

async function measure(main: string): Promise<Figures> {
  const figures: Figures = new Map();
  const server = { command: process.execPath, args: [everythingFile(), "stdio"] };
  await using home = new Home(bestTier());
  // No key that one of the two builds may not know.
  writeFileSync(home.configFile, JSON.stringify({ port: 0, mcpServers: { everything: server } }));
  await using gateway = await Gateway.start(home, [], {}, main);
  const { keeper, front, guardian } = gateway.pids;
  const both = () => processorNs(keeper) + processorNs(front);
  figures.set("start to listening, ms", gateway.startMs);
  figures.set("start, processor ms", both() / 1e6);
  for (const [path, tool] of Object.entries(endpoints)) {
    const caller = new HttpCaller(`${gateway.url}${path}`, gateway.token, tool);
    try {
      await caller.initialize();
      await callMany(caller.call, 32, warmUpCalls);
      for (const { inFlight, calls } of loads) {
        const before = both();
        await callMany(caller.call, inFlight, calls);
        figures.set(`${path}, ${inFlight} in flight, processor µs a call`, (both() - before) / calls / 1000);
      }
    } finally {
      caller.close();
    }
  }
  const bytes = [keeper, front, guardian].reduce((sum, pid) => sum + proportionalBytes(pid), 0);
  figures.set("memory of the three afterwards, MB", bytes / 1e6);
  return figures;
}

interface Pair {
  here: Figures;
  there: Figures;
}

/** Prints the table; true when nothing is worse. */
function report(pairs: Pair[], commit: string): boolean {
  const names = [...(pairs[0]?.here.keys() ?? [])];
  let isWorse = false;
  const rows = names.map((name) => {
    const here = pairs.map((pair) => pair.here.get(name) ?? NaN);
    const there = pairs.map((pair) => pair.there.get(name) ?? NaN);
    const ratio = estimate(here.map((value, index) => value / (there[index] ?? NaN)));
    const isDifferent = differs(ratio);
    if (isDifferent && ratio.median > 1) isWorse = true;
    const verdict = isDifferent ? (ratio.median > 1 ? "worse" : "better") : "same";
    const [low, middle, high] = [ratio.low, ratio.median, ratio.high].map((value) => value.toFixed(3));
    return [name, median(there).toFixed(1), median(here).toFixed(1), middle ?? "", `${low} – ${high}`, verdict];
  });
  console.log(`\nguard: this checkout against ${commit}, ${pairs.length} interleaved pairs\n${machineLine()}\n`);
  console.log(renderTable(["", commit, "here", "ratio", "95 % interval", ""], rows));
  return !isWorse;
}

const usage = `usage: npm run bench -- guard COMMIT [--pairs N]   (N at least ${pairsMin})`;

export async function run(args: string[]): Promise<boolean> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { pairs: { type: "string" } } });
  const count = Number(values.pairs ?? pairsMin);
  const [revision] = positionals;
  if (revision === undefined || positionals.length > 1 || !Number.isInteger(count) || count < pairsMin)
    throw new Error(usage);
  using other = checkOut(revision);
  const pairs: Pair[] = [];
  for (let index = 0; index < count; index += 1) {
    console.error(`pair ${index + 1} of ${count}`);
    const isHereFirst = index % 2 === 0;
    const first = await measure(isHereFirst ? mainFile : other.mainFile);
    const second = await measure(isHereFirst ? other.mainFile : mainFile);
    pairs.push(isHereFirst ? { here: first, there: second } : { here: second, there: first });
  }
  return report(pairs, other.commit);
}
