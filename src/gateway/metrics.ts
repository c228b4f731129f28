/** `GET /metrics` for Prometheus. Figures are read on demand, and the library is loaded then. */
import type { Registry } from "prom-client";
import { ownUsage } from "../platform/self/index.ts";
import type { KeeperLink } from "../protocol/keeper/link.ts";
import type { KeeperFigures, KeeperStatus } from "../protocol/keeper/status.ts";
import type { OfferedServers } from "../mcp/servers/offered-servers.ts";
import type { SessionManager } from "../mcp/session/session-manager.ts";
import type { Nodes } from "../nodes/gateway/nodes.ts";
import { connectionStates } from "./connections/connection.ts";
import type { Connections } from "./connections/connections.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Throttle } from "./throttle.ts";

export interface MetricsParts {
  link: KeeperLink;
  connections: Connections;
  /** Kinds of the open sessions. */
  sessionKinds: () => string[];
  heartbeat: Heartbeat;
  throttle: Throttle;
  nodes: Pick<Nodes, "views" | "runStates">;
  servers: Pick<SessionManager, "silentServers"> & { readonly servers: Pick<OfferedServers, "lacking"> };
}

/** One sample with its labels. */
type Sample = [labels: Record<string, string>, value: number];

interface Metric {
  name: string;
  help: string;
  labelNames: string[];
  samples: Sample[];
}

export class Metrics {
  readonly #parts: MetricsParts;

  constructor(parts: MetricsParts) {
    this.#parts = parts;
  }

  /** The page; throws HoldfastError when the keeper does not answer. */
  async page(): Promise<{ type: string; text: string }> {
    const { Counter, Gauge, Registry } = (await import("prom-client")).default;
    const { link } = this.#parts;
    const [status, figures] = await Promise.all([link.ask("gateway.status", {}), link.ask("gateway.figures", {})]);
    const registry: Registry = new Registry();
    const registers = [registry];
    for (const { samples, ...words } of this.#gauges(status, figures)) {
      const made = new Gauge({ ...words, registers });
      for (const [labels, value] of samples) made.set(labels, value);
    }
    for (const { samples, ...words } of this.#counters(status, figures)) {
      const made = new Counter({ ...words, registers });
      for (const [labels, value] of samples) made.inc(labels, value);
    }
    return { type: registry.contentType, text: await registry.metrics() };
  }

  #gauges(status: KeeperStatus, figures: KeeperFigures): Metric[] {
    const { connections, sessionKinds, heartbeat, nodes, servers } = this.#parts;
    const { keeper, front, guardian, version, tier } = status;
    const open = connectionStates.filter((state) => state !== "closed");
    const runs = figures.runs.map(({ kind, state, count }): Sample => [{ kind, state }, count]);
    const lag: [string, number][] = [
      ["front", heartbeat.takeLagMs() / 1000],
      ["keeper", figures.lagMs / 1000],
    ];
    const down = [
      ...servers.servers.lacking.map(({ name }): Sample => [{ server: name, reason: "unavailable" }, 1]),
      ...servers.silentServers.map(({ name }): Sample => [{ server: name, reason: "silent" }, 1]),
    ];
    const descriptors: [string, number][] = [
      ["front", ownUsage()?.descriptors ?? 0],
      ["keeper", figures.descriptors],
    ];
    const rss = Object.entries({ keeper, front, guardian }).map(([who, one]): [string, number] => [who, one.rssBytes]);
    return [
      metric("holdfast_info", "Version and containment tier.", ["version", "tier"], [[{ version, tier }, 1]]),
      metric("holdfast_start_time_seconds", "When the keeper started.", [], [[{}, status.startedAt / 1000]]),
      by(
        "holdfast_connections",
        "Connections now.",
        "state",
        open.map((state) => [state, connections.count(state)]),
      ),
      by("holdfast_sessions", "Open sessions.", "kind", [...countKinds(sessionKinds())]),
      metric("holdfast_runs", "Live runs.", ["kind", "state"], runs),
      by("holdfast_nodes", "Nodes by state; approved ones are connected or absent.", "state", [
        ...countNodes(nodes.views),
      ]),
      by("holdfast_node_runs", "Live runs on nodes.", "state", [...nodes.runStates()]),
      metric("holdfast_mcp_server_down", "MCP servers that sessions go on without.", ["server", "reason"], down),
      by("holdfast_event_loop_lag_seconds", "Longest delay of the event loop since the last scrape.", "process", lag),
      by("holdfast_open_fds", "Open descriptors.", "process", descriptors),
      by("holdfast_resident_memory_bytes", "Resident memory.", "process", rss),
    ];
  }

  #counters(status: KeeperStatus, figures: KeeperFigures): Metric[] {
    const { connections, throttle } = this.#parts;
    const ends = figures.ends.map(({ reason, count }): [string, number] => [reason, count]);
    const { front, guardian, orphansSwept } = status;
    const restarts = Object.entries({ front, guardian }).map(([who, one]): [string, number] => [who, one.restarts]);
    return [
      by("holdfast_connections_closed_total", "Connections of this front that ended.", "reason", [
        ...connections.closes,
      ]),
      metric("holdfast_auth_failures_total", "Wrong tokens that this front was sent.", [], [[{}, throttle.failures]]),
      by("holdfast_runs_ended_total", "Runs that ended in this life of the keeper.", "reason", ends),
      metric(
        "holdfast_orphans_swept_total",
        "Processes of earlier lives ended by the start.",
        [],
        [[{}, orphansSwept]],
      ),
      by("holdfast_restarts_total", "Restarts in this life of the keeper.", "process", restarts),
    ];
  }
}

function metric(name: string, help: string, labelNames: string[], samples: Sample[]): Metric {
  return { name, help, labelNames, samples };
}

/** A metric with one label. */
function by(name: string, help: string, label: string, values: [string, number][]): Metric {
  return metric(
    name,
    help,
    [label],
    values.map(([value, figure]): Sample => [{ [label]: value }, figure]),
  );
}

function countKinds(kinds: string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

function countNodes(nodes: { state: string; connected: boolean }[]): Map<string, number> {
  const counts = new Map([
    ["connected", 0],
    ["absent", 0],
  ]);
  for (const { state, connected } of nodes) {
    const shown = state === "approved" ? (connected ? "connected" : "absent") : state;
    counts.set(shown, (counts.get(shown) ?? 0) + 1);
  }
  return counts;
}
