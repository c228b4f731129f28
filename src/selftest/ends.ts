/** Every way an owner of a server can end, on a gateway of the self-test's own. */
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { lateReason } from "./attacks.ts";
import { killListed, readListed, settle } from "./listed.ts";
import { platform } from "../platform/index.ts";
import { OwnGateway, type Session } from "./own-gateway.ts";
import { serverProcesses } from "./trees.ts";
import type { Result, Stage, TierName } from "./types.ts";

interface Way {
  title: string;
  /** Roles that a tier may leave. */
  bestEffort?: Partial<Record<TierName, readonly string[]>>;
  /** Why the system has no such end. */
  lacking?: string;
  /** Starts what is to end; resolves with how to end it. */
  begin(gateway: OwnGateway): Promise<() => Promise<void> | void>;
}

/** The end of a gateway's session, or of the gateway. */
const served = (end: (gateway: OwnGateway, session: Session) => Promise<void>): Way["begin"] => {
  return async (gateway) => {
    await gateway.start();
    const session = await gateway.open();
    return () => end(gateway, session);
  };
};

const settleBoundMs = 5000;
const idleLeaseMs = 800;

/** Roles that a tier may leave at every end: the chain tier sees them by luck only. */
const bestEffortAlways: Way["bestEffort"] = { chain: ["cleared-double-forked"] };

/** Once the keeper is gone, markers are all that macOS shows of its runs. */
const withoutKeeper: Way["bestEffort"] = { chain: ["cleared"] };

/** Ends by idle lease, on its own gateway. */
const idle: Way = { title: "its idle lease", begin: served(async () => {}) };

/** In this order on one state directory; the last is an orderly end, which cleans up. */
const everywhere: readonly Way[] = [
  { title: "the client's DELETE", begin: served((_, session) => session.delete()) },
  { title: "an operator's command", begin: served((gateway) => gateway.endSessions()) },
  {
    title: "kill -9 of the front, then stop",
    begin: served(async (gateway) => {
      await gateway.killFront();
      await gateway.stop();
    }),
  },
  { title: "restart --all", begin: served((gateway) => gateway.restartAll()) },
  {
    title: "kill -9 of the keeper",
    bestEffort: withoutKeeper,
    begin: served((gateway) => gateway.kill("keeper")),
  },
  {
    title: "kill -9 of keeper and front",
    bestEffort: withoutKeeper,
    begin: served((gateway) => gateway.kill("keeper and front")),
  },
  {
    title: "kill -9 of all at once, then a start",
    // Nothing is left that knows a process without environment, and the next start finds no trace of it.
    bestEffort: { ...withoutKeeper, subreaper: ["cleared"] },
    begin: served(async (gateway) => {
      await gateway.kill("all");
      await gateway.start();
    }),
  },
];

const stop = served((gateway) => gateway.stop());

/** Of `holdfast run`, which stays a Node.js process there. */
const ofRun: readonly Way[] = [
  { title: "kill -9 of the caller of holdfast run", begin: (gateway) => gateway.startCaller("caller") },
  {
    title: "kill -9 of holdfast run",
    bestEffort: withoutKeeper,
    begin: (gateway) => gateway.startCaller("run"),
  },
];

/** Windows has no signals, and a process of its own in the person's terminal. */
const last: Record<typeof platform.witness.trees, readonly Way[]> = {
  shell: [{ title: "SIGTERM to the gateway", begin: stop }],
  windows: [
    { title: "SIGTERM to the gateway", lacking: "Windows has no signals", begin: stop },
    { title: "the end of its terminal", begin: served((gateway) => gateway.closeTerminal()) },
    ...ofRun,
    { title: "holdfast stop", begin: stop },
  ],
  macos: [...ofRun, { title: "SIGTERM to the gateway", begin: stop }],
};

const ways: readonly Way[] = [...everywhere, ...last[platform.witness.trees]];

export const endTitles: readonly string[] = [idle, ...ways].map(({ title }) => title);

async function playWay(way: Way, gateway: OwnGateway): Promise<Omit<Result, "kind" | "name" | "tier">> {
  const { listFile, tier } = gateway;
  try {
    const end = await way.begin(gateway);
    const processes = readListed(listFile).length;
    if (processes < serverProcesses) throw new Error(`only ${processes} of ${serverProcesses} processes started`);
    const excused = [bestEffortAlways, way.bestEffort].flatMap((roles) => roles?.[tier] ?? []);
    const began = systemClock.monotonic();
    // The clock includes the end itself, for some ways the next start too.
    const settled = settle(listFile, settleBoundMs, excused).then((survivors) => {
      return { survivors, ms: Math.round(systemClock.monotonic() - began) };
    });
    await end();
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
      const nothing = { processes: 0, left: [], ms: 0 };
      if (way.lacking !== undefined)
        stage.onResult({ ...says, ...nothing, verdict: "not available", reason: way.lacking });
      else if (isLate) stage.onResult({ ...says, ...nothing, verdict: "failed", reason: lateReason });
      else stage.onResult({ ...says, ...(await playWay(way, gateway)) });
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
