/** Every way in which the owner of a process tree can end, each played on real servers with calls in flight. */
import { readFileSync } from "node:fs";
import { Gateway, runCommand } from "./gateway.ts";
import { Home } from "./home.ts";
import type { McpClient, Outcome } from "./mcp-client.ts";
import { killWhatIsLeft, settle, survivorsOf, waitForListed, type Listed } from "./pids.ts";
import { asConfig, type Server } from "./servers.ts";
import type { TierName } from "./tiers.ts";
import { until } from "./until.ts";

/** A gateway with one session per server, in the moment before the end. */
interface Stage {
  home: Home;
  gateway: Gateway;
  clients: McpClient[];
}

export interface Scenario {
  name: string;
  /** What the same end is for a host with the SDK's transport: it closes in order, or it is killed. */
  hostEndsBy: "close" | "kill";
  /** Roles that may survive by DESIGN's table of guarantees, on the tiers where they may. */
  bestEffort?: { tier: TierName; roles: string[] };
  idleLeaseMs?: number;
  /** Does it. Resolves when all was done; the clock runs from the call. */
  end(stage: Stage): Promise<void>;
}

export interface Played {
  scenario: string;
  tier: TierName;
  listed: number;
  survivors: Listed[];
  /** Survivors that the guarantee of the tier does not excuse. */
  broken: Listed[];
  /** From the event to the last survivor's end. */
  ms: number;
  /** How the calls in flight ended. */
  outcomes: Outcome[];
}

/** Short, so that the whole matrix takes a minute: what is tested is that the sequence gets to its end. */
export const stop = { stdinGraceMs: 300, termGraceMs: 300 };
/** Long enough to open all sessions on a slow machine before the first is over. */
const idleLeaseMs = 2500;
const settleBoundMs = 8_000;
const openBoundMs = 30_000;

const kill = (pid: number) => process.kill(pid, "SIGKILL");

export const scenarios: Scenario[] = [
  {
    name: "DELETE",
    hostEndsBy: "close",
    async end({ clients }) {
      const statuses = await Promise.all(clients.map((client) => client.delete()));
      const refused = statuses.filter((status) => status >= 300);
      if (refused.length > 0) throw new Error(`DELETE was answered with ${refused.join(", ")}`);
    },
  },
  {
    name: `idle lease (${idleLeaseMs / 1000} s)`,
    hostEndsBy: "close",
    idleLeaseMs,
    async end({ clients }) {
      for (const client of clients) client.vanish();
    },
  },
  {
    name: "operator",
    hostEndsBy: "close",
    async end({ gateway, clients }) {
      const listed = (await gateway.rpc("session.list")) as { id: string }[];
      if (listed.length !== clients.length)
        throw new Error(`${listed.length} sessions are listed, ${clients.length} were opened`);
      await Promise.all(listed.map(({ id }) => gateway.rpc("session.end", { id })));
    },
  },
  {
    name: "gateway SIGTERM",
    hostEndsBy: "close",
    async end({ gateway }) {
      await gateway.stop();
    },
  },
  {
    name: "front kill -9, then stop",
    hostEndsBy: "kill",
    async end({ gateway }) {
      const { front } = gateway.pids;
      kill(front);
      await gateway.renewed({ front });
      await gateway.stop();
    },
  },
  {
    name: "restart --all",
    hostEndsBy: "close",
    async end({ home, gateway }) {
      const keeperEpoch = gateway.epoch;
      const { code, stderr } = await runCommand(home, ["restart", "--all"]);
      if (code !== 0) throw new Error(`restart --all ended with ${code}: ${stderr}`);
      await gateway.renewed({ keeperEpoch });
    },
  },
  {
    name: "keeper kill -9",
    hostEndsBy: "kill",
    async end({ gateway }) {
      kill(gateway.pids.keeper);
    },
  },
  {
    name: "keeper and front kill -9",
    hostEndsBy: "kill",
    async end({ gateway }) {
      gateway.killAtOnce([gateway.pids.keeper, gateway.pids.front]);
    },
  },
  {
    name: "all kill -9, then start",
    hostEndsBy: "kill",
    // Nobody is left who could know a process without environment, and the next start finds no trace of it.
    bestEffort: { tier: "subreaper", roles: ["cleared"] },
    async end(stage) {
      const guards = stage.home.marked("HOLDFAST_GUARD");
      if ((stage.home.tier === "subreaper") !== guards.length > 0) {
        throw new Error(`${guards.length} guards on the ${stage.home.tier} tier`);
      }
      stage.gateway.killAtOnce([...Object.values(stage.gateway.pids), ...guards]);
      await stage.gateway.ended();
      stage.gateway = await Gateway.start(stage.home);
    },
  },
];

export type ServersOf = (home: Home) => Record<string, Server>;

async function openSession(gateway: Gateway, name: string): Promise<McpClient> {
  const client = gateway.mcp(name);
  await client.initialize();
  return client;
}

/** Sends the calls that stay open, and waits until the one fixture that can tell has got its own. */
async function leaveCallsInFlight(stage: Stage, servers: Server[]): Promise<Promise<Outcome>[]> {
  const calls = servers.flatMap((server, index) => {
    const client = stage.clients[index];
    return server.call === undefined || client === undefined
      ? []
      : [client.callAndHang(server.call.name, server.call.arguments)];
  });
  if (servers.some((server) => server.call?.name === "hang")) {
    const arrived = () => readFileSync(`${stage.home.pidFile}.calls`, "latin1") !== "";
    const mayFail = () => {
      try {
        return arrived();
      } catch {
        return false; // the fixture writes the file with the first call
      }
    };
    await until("a call in flight at the stubborn fixture", mayFail, { boundMs: openBoundMs });
  }
  return calls;
}

/** Plays one scenario on one tier, in a home of its own, and leaves nothing behind, survivors neither. */
export async function play(scenario: Scenario, tier: TierName, serversOf: ServersOf): Promise<Played> {
  await using home = new Home(tier);
  const named = serversOf(home);
  const servers = Object.values(named);
  const session = scenario.idleLeaseMs === undefined ? {} : { idleLeaseMs: scenario.idleLeaseMs };
  home.configure({ mcpServers: asConfig(named), session, stop });
  const stage: Stage = { home, gateway: await Gateway.start(home), clients: [] };
  try {
    stage.clients = await Promise.all(Object.keys(named).map((name) => openSession(stage.gateway, name)));
    const wanted = servers.reduce((sum, server) => sum + server.processes, 0);
    const listed = await waitForListed(home.pidFile, wanted, openBoundMs);
    const calls = await leaveCallsInFlight(stage, servers);

    const excused = scenario.bestEffort?.tier === tier ? scenario.bestEffort.roles : [];
    // The clock runs while the end is made, which for some scenarios includes the next start.
    const settled = settle(home.pidFile, settleBoundMs, excused);
    await scenario.end(stage);
    const { ms } = await settled;
    const survivors = survivorsOf(home.pidFile);
    const outcomes = await Promise.all(calls);
    const broken = survivors.filter(({ role }) => !excused.includes(role));
    return { scenario: scenario.name, tier, listed: listed.length, survivors, broken, ms, outcomes };
  } finally {
    for (const client of stage.clients) client.vanish();
    await stage.gateway.stop();
    await killWhatIsLeft(home.pidFile);
  }
}
