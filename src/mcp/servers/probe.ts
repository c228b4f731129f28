/** Reports on the configured servers: their current state, and a test start of one. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { LaunchView } from "../../protocol/keeper/messages.ts";
import type { Probed, ServerStatus } from "../../protocol/api/mcp.ts";
import type { Clock } from "../../clock.ts";
import type { SessionSet } from "../../sessions/set.ts";
import { version } from "../../version.ts";
import { sessionVersions } from "../wire/headers.ts";
import type { Pool } from "./pool.ts";
import type { Starter } from "./starter.ts";
import { learnLists, type Item } from "./handshake.ts";

export function statusOf(
  server: FrontServer,
  {
    starter,
    pool,
    launch,
    login,
  }: { starter: Starter; pool: Pool; launch: LaunchView | undefined; login: string | undefined },
): ServerStatus {
  const { name, kind, share, enabled, problem: lack = null } = server;
  const { state: breaker, failures, lastFailure, silentSince } = starter.breaker(server);
  const { holders: poolHolders, runs: poolRuns } = pool.view(name);
  const { packages = [], problem = null } = launch ?? {};
  const health = { breaker, failures, lastFailure: lastFailure || null, silentSince };
  const notices = [...(problem === null ? [] : [`resolveNpx: ${problem}`]), ...(login === undefined ? [] : [login])];
  return { name, kind, share, enabled, problem: lack, ...health, poolHolders, poolRuns, packages, notices };
}

/** Rejects with the reason of a failed start. Leaves nothing behind. */
export async function probeServer(
  server: FrontServer,
  sessions: SessionSet,
  starter: Starter,
  clock: Clock,
): Promise<Probed> {
  const began = clock.monotonic();
  const client = { name: "holdfast mcp probe", version };
  const session = sessions.open({ client, server: server.name }, null);
  const leave = session.lease.hold();
  try {
    const introduction = { protocolVersion: sessionVersions[0] ?? "", capabilities: {}, clientInfo: client };
    const { upstream, initialize } = await starter.start({
      server,
      introduction,
      metadataKey: `probe-${server.name}`,
      shared: false,
      passesAll: false,
      scope: session.scope,
      sessionId: session.id,
      onRun: (id, alive) => void (alive ? session.runs.add(id) : session.runs.delete(id)),
      onListChanged: () => Promise.resolve(),
    });
    const { tools, prompts, resources } = await learnLists(upstream, initialize.capabilities, clock);
    const { serverInfo, protocolVersion } = initialize;
    const names = (items: Item[], key: string) => items.map((item) => String(item[key]));
    const lists = { tools: names(tools, "name"), prompts: names(prompts, "name"), resources: names(resources, "uri") };
    return { serverInfo, protocolVersion, ...lists, ms: Math.round(clock.monotonic() - began) };
  } finally {
    leave();
    await session.close("session-ended");
  }
}
