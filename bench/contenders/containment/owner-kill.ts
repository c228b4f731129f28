/** From the keeper's kill -9 to zero, in a real gateway with many sessions: the runs' processes, then Holdfast's own too. */
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Gateway } from "../../../test/helpers/gateway.ts";
import { Home } from "../../../test/helpers/home.ts";
import type { McpClient } from "../../../test/helpers/mcp-client.ts";
import { isLive, killWhatIsLeft, rememberList, statOf, waitForListed } from "../../../test/helpers/pids.ts";
import { fixture } from "../../../test/helpers/servers.ts";
import { renderTable, type Cell } from "../../../test/helpers/table.ts";
import type { TierName } from "../../../test/helpers/tiers.ts";
import { median } from "../../load.ts";

/** How many sessions, how often, and the aim of the runs' end. */
const shapes = [
  { runs: 10, rounds: 7, aimMs: 20 },
  { runs: 100, rounds: 5, aimMs: 60 },
] as const;
const processesPerRun = 4;
const openAtOnce = 6;
const boundMs = 20_000;
const tree = fileURLToPath(new URL("light-tree.sh", import.meta.url));

interface Identity {
  pid: number;
  startTime: string;
}

interface Ended {
  runsMs: number;
  allMs: number;
}

/** Milliseconds since `began` until none of these lives; looks every millisecond, at those only that lived before. */
async function timeToZero(began: number, of: readonly Identity[]): Promise<number> {
  let left = of.filter(isLive);
  while (left.length > 0) {
    if (performance.now() - began > boundMs) throw new Error(`${left.length} processes live after ${boundMs} ms`);
    await delay(1);
    left = left.filter(isLive);
  }
  return performance.now() - began;
}

async function openSessions(gateway: Gateway, count: number): Promise<McpClient[]> {
  const clients: McpClient[] = [];
  const lane = async () => {
    while (clients.length < count) {
      const client = gateway.mcp("light");
      clients.push(client);
      await client.initialize();
    }
  };
  await Promise.all(Array.from({ length: openAtOnce }, lane));
  return clients;
}

const named = (pids: readonly number[]): Identity[] =>
  pids.flatMap((pid) => {
    const stat = statOf(pid);
    return stat === undefined ? [] : [{ pid, startTime: stat.startTime }];
  });

async function playOnce(tier: TierName, runs: number): Promise<Ended> {
  await using home = new Home(tier);
  using _list = rememberList(home.pidFile);
  const args = [tree, home.pidFile, fixture("light-server.sh")];
  home.configure({ mcpServers: { light: { command: "sh", args } } });
  const gateway = await Gateway.start(home);
  const clients: McpClient[] = [];
  try {
    clients.push(...(await openSessions(gateway, runs)));
    const listed = await waitForListed(home.pidFile, runs * processesPerRun, boundMs);
    const own = named([...home.marked("HOLDFAST_GUARD"), ...Object.values(gateway.pids)]);
    const began = performance.now();
    process.kill(gateway.pids.keeper, "SIGKILL");
    const runsMs = await timeToZero(began, listed);
    const allMs = await timeToZero(began, own);
    return { runsMs, allMs };
  } finally {
    for (const client of clients) client.vanish();
    await gateway.stop();
    await killWhatIsLeft(home.pidFile);
  }
}

export async function ownerKillTable(tiers: readonly TierName[]): Promise<string> {
  const rows: Cell[][] = [];
  for (const tier of tiers) {
    for (const { runs, rounds, aimMs } of shapes) {
      const found: Ended[] = [];
      for (let index = 0; index < rounds; index += 1) found.push(await playOnce(tier, runs));
      const of = (pick: (one: Ended) => number) => found.map(pick);
      const worst = Math.max(...of(({ runsMs }) => runsMs));
      const middle = (values: number[]) => Number(median(values).toFixed(1));
      const ended = of(({ runsMs }) => runsMs);
      rows.push([
        `${tier}, ${runs} runs`,
        rounds,
        middle(ended),
        `< ${aimMs}`,
        Number(worst.toFixed(1)),
        middle(of(({ allMs }) => allMs)),
      ]);
    }
  }
  return renderTable(["", "rounds", "runs gone, ms", "aim", "slowest, ms", "all of Holdfast gone, ms"], rows);
}
