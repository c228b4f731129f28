/** Every way in which the owner of a server can end, each played on a gateway of the self-test's own. */
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { lateReason } from "./attacks.ts";
import { killListed, readListed, settle } from "./listed.ts";
import { OwnGateway, serverProcesses, type Session } from "./own-gateway.ts";
import type { Result, Stage, TierName } from "./types.ts";

interface Way {
  title: string;
  /** Roles that may be left by the tier's guarantee. */
  bestEffort?: { tier: TierName; roles: string[] };
  end(gateway: OwnGateway, session: Session): Promise<void>;
}

const settleBoundMs = 5000;
const idleLeaseMs = 800;

/** By an idle lease, for which a gateway of its own is configured. */
const idle: Way = { title: "its idle lease", end: async () => {} };

/** In this order on one state directory; the last one ends the gateway in order, so that it takes its traces along. */
const ways: readonly Way[] = [
  { title: "the client's DELETE", end: (_, session) => session.delete() },
  { title: "an operator's command", end: (gateway) => gateway.endSessions() },
  {
    title: "kill -9 of the front, then stop",
    async end(gateway) {
      await gateway.killFront();
      await gateway.stop();
    },
  },
  { title: "restart --all", end: (gateway) => gateway.restartAll() },
  { title: "kill -9 of the keeper", end: (gateway) => gateway.kill("keeper") },
  { title: "kill -9 of keeper and front", end: (gateway) => gateway.kill("keeper and front") },
  {
    title: "kill -9 of all at once, then a start",
    // Nobody is left who could know a process without environment, and the next start finds no trace of it.
    bestEffort: { tier: "subreaper", roles: ["cleared"] },
    async end(gateway) {
      await gateway.kill("all");
      await gateway.start();
    },
  },
  { title: "SIGTERM to the gateway", end: (gateway) => gateway.stop() },
];

export const endTitles: readonly string[] = [idle, ...ways].map(({ title }) => title);

async function playWay(way: Way, gateway: OwnGateway): Promise<Omit<Result, "kind" | "name" | "tier">> {
  const { listFile, tier } = gateway;
  try {
    await gateway.start();
    const session = await gateway.open();
    const processes = readListed(listFile).length;
    if (processes < serverProcesses) throw new Error(`only ${processes} of ${serverProcesses} processes started`);
    const excused = way.bestEffort?.tier === tier ? way.bestEffort.roles : [];
    const began = systemClock.monotonic();
    // The clock runs while the end is made, which for some ways includes the next start.
    const settled = settle(listFile, settleBoundMs, excused).then((survivors) => {
      return { survivors, ms: Math.round(systemClock.monotonic() - began) };
    });
    await way.end(gateway, session);
    const first = await settled;
    const survivors = first.survivors.length === 0 ? [] : await settle(listFile, settleBoundMs, excused);
    const left = survivors.map(({ role }) => role);
    const isHeld = left.every((role) => excused.includes(role));
    return { verdict: left.length === 0 ? "held" : isHeld ? "best effort" : "left", processes, left, ms: first.ms };
  } catch (cause) {
    return { verdict: "failed", processes: 0, left: [], ms: 0, reason: (cause as Error).message };
  }
}

/** Several ways on one gateway, one after the other. */
async function playLane(lane: readonly Way[], gateway: OwnGateway, stage: Stage): Promise<void> {
  try {
    for (const way of lane) {
      stage.signal.throwIfAborted();
      const says = { kind: "end" as const, name: way.title, tier: gateway.tier };
      const isLate = systemClock.monotonic() > stage.deadline;
      const late = { verdict: "failed" as const, processes: 0, left: [], ms: 0, reason: lateReason };
      stage.onResult({ ...says, ...(isLate ? late : await playWay(way, gateway)) });
      await killListed(gateway.listFile);
    }
  } finally {
    await gateway.stop().catch(() => {}); // it was killed then, and what it held is ended below
    await killListed(gateway.listFile);
  }
}

/** Both lanes at a time: most of each is waiting for the other's Node.js to start. */
export async function playEnds(tier: TierName, stage: Stage): Promise<void> {
  const place = (name: string) => join(stage.directory, `${name}-${tier}`);
  const lanes = await Promise.allSettled([
    playLane(ways, new OwnGateway(place("gateway"), tier, undefined), stage),
    playLane([idle], new OwnGateway(place("idle"), tier, idleLeaseMs), stage),
  ]);
  // Not before both have taken down what they started.
  for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
}
