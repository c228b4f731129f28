/**
 * Every event that keeper and front log, by its fixed name: the one table that logs, the API and docs/events.md share.
 * Names are for scripts and dashboards; one is never used again for another meaning.
 */

/** What happens to the things that Holdfast holds. Logged, and told to whoever subscribes. Times are milliseconds since the epoch. */
interface LifecycleEvents {
  "keeper.started": { version: string; epoch: number; tier: string; refused: string[] };
  "keeper.stopping": { reason: string; error: string | undefined };
  /** `survivors`: ids of runs that could not be ended. */
  "keeper.ended": { survivors: string[] };
  /** Names of servers, and keys that wait for a restart. */
  "config.reloaded": { added: string[]; removed: string[]; changed: string[]; needsRestart: string[] };
  /** `error`: why; everything is as it was. */
  "config.refused": { error: string };
  /** A server of the config cannot be had as things are; `problem`: why, and what to do. */
  "server.unavailable": { server: string; problem: string };
  "server.available": { server: string };
  "front.listening": { urls: string[]; restarts: number };
  "front.crashed": {
    pid: number;
    why: string;
    exitCode: number | null;
    signal: string | null;
    lastMethod: string | null;
    file: string;
  };
  /** `downMs`: from the moment the old front's end was noticed to the moment the new one listens. */
  "front.restarted": { pid: number; restarts: number; downMs: number };
  "guardian.restarted": { pid: number };
  "run.intended": { run: string; kind: string; server: string | null; session: string | null };
  "run.spawned": { run: string };
  "run.growing": { run: string; what: string };
  "run.stopping": { run: string; endReason: string | null; survivors: number[] };
  "run.ended": { run: string; endReason: string | null; exitCode: number | null; signal: string | null };
  /** `packages`: with their versions; `ms`: from the first who needed them. */
  "package.installed": { server: string; packages: string[]; ms: number };
  "scope.replaced": { session: string | null; scopeKey: string; run: string; replaced: string };
  "orphan.swept": { what: string };
  /** `tier`: containment over there; `swept`: processes of earlier lives that its guardian ended. */
  "host.connected": { host: string; tier: string; swept: number };
  "host.lost": { host: string; why: string };
  "host.unreachable": { host: string; why: string; againMs: number };
  "host.swept": { host: string; runs: string[] };
  "session.opened": { session: string; kind: string; client: string; parent: string | null };
  "session.ended": { session: string; reason: string };
  /** `protocol`: http or websocket; `address`: of the client, normalised as for limits. */
  "connection.closed": { protocol: string; address: string; reason: string };
  "node.pending": { node: string; name: string; address: string };
  /** `by`: admin or invitation. */
  "node.approved": { node: string; name: string; by: string };
  "node.rejected": { node: string; name: string };
  "node.revoked": { node: string; name: string };
  "node.forgotten": { node: string; name: string };
  /** `instance`: one life of the node's keeper. */
  "node.connected": { node: string; name: string; address: string; instance: string };
  /** `why`: as of `connection.closed`, or `replaced`: it came back over another connection. */
  "node.lost": { node: string; name: string; address: string; why: string };
  "token.added": { token: string; name: string; scopes: string[]; expiresAt: number | null };
  /** `why`: revoked or expired. */
  "token.ended": { token: string; name: string; why: string };
}

/** What is worth a line in the log and of no use to a subscriber. */
export interface DiagnosticEvents {
  "front.failed": { error: string };
  "front.said": { text: string };
  "front.error": { error: string };
  "front.refused": { what: string; code?: string; text?: string; error?: string };
  /** The keeper ends by its own hand and not in order. `file`: the record of it. */
  "keeper.crashed": { why: string; detail: string; file: string };
  /** The system starts no guardian; it is tried again, and no run starts before one is on watch. */
  "guardian.refused": { error: string };
  "front.stuck": { pid: number; silentMs: number; state: string; lastMethod: string | null };
  "run.not_adopted": { run: string; session: string | null; why: string };
  "session.resumed": { sessions: number; lost: number; runsEnded: number };
  "run.unowned": { run: string; session: string | null };
  /** A server with `resolveNpx` that npx starts after all, or from older files. */
  "package.unresolved": { server: string; why: string };
  "run.exceeded": { run: string; what: string };
  "history.trimmed": { run: string };
  "token.refused": { file: string; error: string };
  "gateway.address_skipped": { address: string; code: string | undefined; hint: string };
  "gateway.defect": { error: string | undefined };
  "access.throttled": { address: string; failures: number };
  "mcp.catalog": { error: string; hint: string };
  /** Names or addresses that two servers of one endpoint lay claim to. */
  "mcp.clash": { session: string; clashes: string[] };
  /** A server that is missing from a list, because it could not be started. */
  "mcp.unlisted": { server: string; error: string };
  /** A tool that is missing from a list, because its server says of it what it must not. */
  "mcp.tool_unlisted": { server: string; tool: string; why: string };
  /** Its node is away, and the config names another place. */
  "mcp.elsewhere": { server: string; node: string; host: string; why: string };
  "mcp.noise": { server: string; run: string | undefined; why: string; hint: string };
  /** A node said what cannot be, and its connection was ended. */
  "node.fault": { node: string | null; address: string; what: string };
  /** Its node did not come back within the lease: the callers were told `node_lost`. */
  "node.run_given_up": { node: string; run: string; endReason: string | null };
  "node.not_ended": { node: string; run: string; error: string };
  "node.store_lost": { path: string; error: string; hint: string };
  "node.store_failed": { run: string; error: string };
  "session.leftover": { session: string; server: string | null; reason: string; name: string; error: string };
  "session.store_lost": { path: string; error: string; hint: string };
  "session.store_unusable": { path: string; error: string; hint: string };
  "session.store_failed": { error: string; hint: string };
}

export type LifecycleName = keyof LifecycleEvents;
export type EventFields = LifecycleEvents & DiagnosticEvents;
export type EventName = keyof EventFields;

/** One line of the keeper's log. */
export type LogEntry = { [N in EventName]: { event: N } & EventFields[N] }[EventName];

/** One event on its way to a subscriber. */
export type LifecycleEvent = {
  [N in LifecycleName]: { name: N; at: number; data: LifecycleEvents[N] };
}[LifecycleName];

/** What each lifecycle event means; docs/events.md says the same with the fields. */
export const lifecycleMeanings: Record<LifecycleName, string> = {
  "keeper.started": "a keeper opened the state directory",
  "keeper.stopping": "the orderly end began",
  "keeper.ended": "the gateway ended in order",
  "config.reloaded": "the config was reloaded",
  "config.refused": "a reload was rejected; nothing changed",
  "server.unavailable": "a configured server cannot start",
  "server.available": "an unavailable server can start again",
  "front.listening": "a front is serving",
  "front.crashed": "a front died or was killed because it was stuck",
  "front.restarted": "another front is serving after a crash",
  "guardian.restarted": "the guardian died and was replaced",
  "run.intended": "a run is in the ledger; no process exists yet",
  "run.spawned": "the run's process exists",
  "run.growing": "the run's number of processes keeps growing",
  "run.stopping": "the stop sequence began",
  "run.ended": "the run is proven empty",
  "package.installed": "packages were installed for a server with resolveNpx",
  "scope.replaced": "a run replaced the one with its scope key",
  "orphan.swept": "a process of an earlier life was found and ended",
  "host.connected": "an ssh host is connected and swept",
  "host.lost": "the connection to an ssh host ended; its runs are lost",
  "host.unreachable": "an ssh host that must be checked does not answer",
  "host.swept": "an ssh host was checked; runs of an earlier life are closed",
  "session.opened": "a session began",
  "session.ended": "the session and all it owned are gone",
  "connection.closed": "a connection was released",
  "node.pending": "a new node is waiting for approval",
  "node.approved": "a node was approved",
  "node.rejected": "an admin rejected a node",
  "node.revoked": "a node's approval was revoked",
  "node.forgotten": "a node and the decision about it were deleted",
  "node.connected": "a node is connected and has reported its runs",
  "node.lost": "a node's connection ended; its runs live on their lease",
  "token.added": "a token is valid",
  "token.ended": "a token is no longer valid",
};

/** Names of the log alone. */
const diagnosticNames: Record<keyof DiagnosticEvents, true> = {
  "front.failed": true,
  "front.said": true,
  "front.error": true,
  "front.refused": true,
  "front.stuck": true,
  "guardian.refused": true,
  "keeper.crashed": true,
  "run.not_adopted": true,
  "session.resumed": true,
  "run.unowned": true,
  "package.unresolved": true,
  "run.exceeded": true,
  "history.trimmed": true,
  "token.refused": true,
  "gateway.address_skipped": true,
  "gateway.defect": true,
  "access.throttled": true,
  "mcp.catalog": true,
  "mcp.clash": true,
  "mcp.unlisted": true,
  "mcp.tool_unlisted": true,
  "mcp.elsewhere": true,
  "mcp.noise": true,
  "node.fault": true,
  "node.run_given_up": true,
  "node.not_ended": true,
  "node.store_lost": true,
  "node.store_failed": true,
  "session.leftover": true,
  "session.store_lost": true,
  "session.store_unusable": true,
  "session.store_failed": true,
};

export const eventNames = [...Object.keys(lifecycleMeanings), ...Object.keys(diagnosticNames)] as EventName[];

export function isLifecycleName(name: string): name is LifecycleName {
  return Object.hasOwn(lifecycleMeanings, name);
}
