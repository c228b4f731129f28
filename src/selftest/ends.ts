/** Every way an owner of a server can end, on a gateway of the self-test's own. */
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { lateReason } from "./attacks.ts";
import { killListed, readListed, settle } from "./listed.ts";
import { OwnGateway, serverProcesses, type Session } from "./own-gateway.ts";
import type { Result, Stage, TierName } from "./types.ts";

interface Way {
  title: string;
  /** Roles that this tier may leave. */
  bestEffort?: { tier: TierName; roles: string[] };
  end(gateway: OwnGateway, session: Session): Promise<void>;
}

const settleBoundMs = 5000;
const idleLeaseMs = 800;

/** Ends by idle lease, on its own gateway. */
const idle: Way = { title: "its idle lease", end: async () => {} };

/** In this order on one state directory; the last is an orderly end, which cleans up. */
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
    // Nothing is left that knows a process without environment, and the next start finds no trace of it.
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
    // The clock includes the end itself, for some ways the next start too.
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

/** Several ways on one gateway, in turn. */
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
    await gateway.stop().catch(() => {}); // killed then, and its processes are ended below
    await killListed(gateway.listFile);
  }
}

/** Both concurrently: most of each is waiting for a Node.js start. */
export async function playEnds(tier: TierName, stage: Stage): Promise<void> {
  const place = (name: string) => join(stage.directory, `${name}-${tier}`);
  const lanes = await Promise.allSettled([
    playLane(ways, new OwnGateway(place("gateway"), tier, undefined), stage),
    playLane([idle], new OwnGateway(place("idle"), tier, idleLeaseMs), stage),
  ]);
  // After both have cleaned up.
  for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
}
