/**
 * What does a call through Holdfast cost? tools/call echo on server-everything, at 1, 32 and 256 in flight, beside no relay,
 * an ideal relay, supergateway and mcp-proxy, in interleaved rounds so that a noisy neighbour hurts all alike. The ratios are the claim.
 */
import { renderTable } from "../test/helpers/table.ts";
import { everythingFile } from "../test/helpers/servers.ts";
import { startCeiling } from "./contenders/ceiling.ts";
import type { Contender } from "./contenders/contender.ts";
import { startDirect } from "./contenders/direct.ts";
import {
  startAggregated,
  startHoldfast,
  startPooled,
  startStateless,
  startStatelessAggregated,
} from "./contenders/holdfast.ts";
import { startMcpProxy } from "./contenders/mcp-proxy.ts";
import { startSupergateway } from "./contenders/supergateway.ts";
import { callsPerSecond, median } from "./load.ts";
import { argumentsOf, machineLine, megabytes, residentBytes, treeOf } from "./machine.ts";

const rounds = 5;
const roundMs = 1000;
const warmUpMs = 1500;
const loads = [1, 32, 256] as const;
/** A ceiling lower than this many times the peer, at any load, would not be ideal, and a share of it would flatter. */
const ceilingOverPeerMin = 3;

interface Measured {
  contender: Contender;
  /** Calls per second of each round, by number in flight. */
  rates: Map<number, number[]>;
}

/** Resident bytes of a relay's tree without the server that it relays to. */
function relayBytes(contender: Contender): number | undefined {
  if (contender.relayPid === undefined) return undefined;
  const server = everythingFile();
  const relays = treeOf(contender.relayPid).filter((pid) => argumentsOf(pid)[1] !== server);
  return relays.reduce((sum, pid) => sum + residentBytes(pid), 0);
}

async function measure(all: Measured[]): Promise<void> {
  for (const { contender } of all) await callsPerSecond(contender.call, 32, warmUpMs);
  for (let round = 0; round < rounds; round += 1) {
    for (const inFlight of loads) {
      for (const { contender, rates } of all) {
        const list = rates.get(inFlight) ?? [];
        rates.set(inFlight, [...list, await callsPerSecond(contender.call, inFlight, roundMs)]);
      }
    }
  }
}

const rateOf = (measured: Measured | undefined, inFlight: number) => median(measured?.rates.get(inFlight) ?? []);

/** Prints the table and says whether the yardstick held. */
function report(all: Measured[]): boolean {
  const by = (prefix: string) => all.find(({ contender }) => contender.name.startsWith(prefix));
  const [ours, ceiling, peer] = [by("holdfast"), by("ideal"), by("supergateway")];
  const rows = all.map((measured) => {
    const bytes = relayBytes(measured.contender);
    const rates = loads.map((inFlight) => Math.round(rateOf(measured, inFlight)));
    return [measured.contender.name, ...rates, bytes === undefined ? "–" : megabytes(bytes)];
  });
  console.log(
    `\nrelay: tools/call echo, calls per second, median of ${rounds} rounds of ${roundMs} ms\n${machineLine()}\n`,
  );
  console.log(renderTable(["", ...loads.map((load) => `${load} in flight`), "RSS MB, without the server"], rows));
  const ratio = (over: Measured | undefined, under: Measured | undefined) =>
    loads.map((inFlight) => (rateOf(over, inFlight) / rateOf(under, inFlight)).toFixed(2));
  const ratios = [
    ["holdfast / supergateway", ...ratio(ours, peer), "2.3 / 2.3"],
    ["holdfast at /mcp / supergateway", ...ratio(by("holdfast at"), peer), "2.3 / 2.3"],
    ["holdfast, pooled / supergateway", ...ratio(by("holdfast,"), peer), "2.3 / 2.3"],
    ["holdfast / mcp-proxy", ...ratio(ours, by("mcp-proxy")), ""],
    ["holdfast / ceiling", ...ratio(ours, ceiling), "0.65 / 0.75"],
    ["holdfast at /mcp / holdfast", ...ratio(by("holdfast at"), ours), ""],
    ["holdfast to a 2026-07-28 client / holdfast", ...ratio(by("holdfast to"), ours), ""],
    ["ceiling / supergateway", ...ratio(ceiling, peer), `${ceilingOverPeerMin} (or the bench fails)`],
  ];
  console.log(`\n${renderTable(["ratio", ...loads.map((load) => `${load} in flight`), "at least"], ratios)}`);
  return loads.every((inFlight) => rateOf(ceiling, inFlight) >= ceilingOverPeerMin * rateOf(peer, inFlight));
}

export async function run(): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const all: Measured[] = [];
  const ours = [startHoldfast, startAggregated, startPooled, startStateless, startStatelessAggregated];
  for (const start of [startDirect, startCeiling, startSupergateway, startMcpProxy, ...ours]) {
    const contender = stack.use(await start());
    all.push({ contender, rates: new Map() });
  }
  await measure(all);
  const held = report(all);
  if (!held)
    console.error(
      `\nthe ceiling is under ${ceilingOverPeerMin} × supergateway: it is not ideal, and the shares of it mean nothing`,
    );
  return held;
}
