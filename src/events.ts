/**
 * Every event logged by keeper and front, by its fixed name: the single table for logs, the API and docs/events.md. Scripts
 * and dashboards rely on the names, so a name is never reused for another meaning.
 */

/** Changes of the things that Holdfast manages, logged and sent to subscribers. Times are milliseconds since the epoch. */
interface LifecycleEvents {
  "keeper.started": { version: string; epoch: number; tier: string; refused: string[] };
  "keeper.stopping": { reason: string; error: string | undefined };
  /** `survivors`: ids of runs that could not be ended. */
  "keeper.ended": { survivors: string[] };
  /** Names of servers, and keys that need a restart. */
  "config.reloaded": { added: string[]; removed: string[]; changed: string[]; needsRestart: string[] };
  /** `error`: the reason; the old config stays in effect. */
  "config.refused": { error: string };
  /** A server of the config is unavailable; `problem`: the cause and the remedy. */
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
  /** `downMs`: from the detected end of the old front until the new one listens. */
  "front.restarted": { pid: number; restarts: number; downMs: number };
  "guardian.restarted": { pid: number };
  "run.intended": { run: string; kind: string; server: string | null; session: string | null };
  "run.spawned": { run: string };
  "run.growing": { run: string; what: string };
  "run.stopping": { run: string; endReason: string | null; survivors: number[] };
  "run.ended": { run: string; endReason: string | null; exitCode: number | null; signal: string | null };
  /** `packages`: with their versions; `ms`: since the first request for them. */
  "package.installed": { server: string; packages: string[]; ms: number };
  "scope.replaced": { session: string | null; scopeKey: string; run: string; replaced: string };
  "orphan.swept": { what: string };
  /** `tier`: containment on the remote host; `swept`: processes of earlier keepers that its guardian ended. */
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
  /** `instance`: one lifetime of the node's keeper. */
  "node.connected": { node: string; name: string; address: string; instance: string };
  /** `why`: as in `connection.closed`, or `replaced`: it reconnected. */
  "node.lost": { node: string; name: string; address: string; why: string };
  "token.added": { token: string; name: string; scopes: string[]; expiresAt: number | null };
  /** `why`: revoked or expired. */
  "token.ended": { token: string; name: string; why: string };
}

/** For the log only, without use to subscribers. */
interface DiagnosticEvents {
  "front.failed": { error: string };
  "front.said": { text: string };
  "front.error": { error: string };
  "front.refused": { what: string; code?: string; text?: string; error?: string };
  /** The keeper ends itself abnormally. `file`: the record of the crash. */
  "keeper.crashed": { why: string; detail: string; file: string };
  /** The system starts no guardian; retried, and runs wait for one. */
  "guardian.refused": { error: string };
  "front.stuck": { pid: number; silentMs: number; state: string; lastMethod: string | null };
  "run.not_adopted": { run: string; session: string | null; why: string };
  "session.resumed": { sessions: number; lost: number; runsEnded: number };
  "run.unowned": { run: string; session: string | null };
  /** A server with `resolveNpx` started by npx after all, or from older files. */
  "package.unresolved": { server: string; why: string };
  "run.exceeded": { run: string; what: string };
  "history.trimmed": { run: string };
  /** It was begun anew, or its newest rows went with the power: records of runs may be missing. */
  "ledger.behind": { knows: number; last: number };
  "token.refused": { file: string; error: string };
  "gateway.address_skipped": { address: string; code: string | undefined; hint: string };
  "gateway.defect": { error: string | undefined };
  "access.throttled": { address: string; failures: number };
  "mcp.catalog": { error: string; hint: string };
  /** Names or addresses claimed by two servers of one endpoint. */
  "mcp.clash": { session: string; clashes: string[] };
  /** A server omitted from a list because it failed to start. */
  "mcp.unlisted": { server: string; error: string };
  /** A tool omitted from a list because its server's description of it is not allowed. */
  "mcp.tool_unlisted": { server: string; tool: string; why: string };
  /** Its node is away, and the config names a fallback. */
  "mcp.elsewhere": { server: string; node: string; host: string; why: string };
  "mcp.noise": { server: string; run: string | undefined; why: string; hint: string };
  /** A node sent an impossible report, and its connection was ended. */
  "node.fault": { node: string | null; address: string; what: string };
  /** Its node did not return within the lease: callers got `node_lost`. */
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

/** One event for a subscriber. */
export type LifecycleEvent = {
  [N in LifecycleName]: { name: N; at: number; data: LifecycleEvents[N] };
}[LifecycleName];

/** The meaning of each lifecycle event; docs/events.md repeats it with the fields. */
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

/** Names that only the log uses. */
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
  "ledger.behind": true,
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

export const eventNames: readonly EventName[] = [
  ...Object.keys(lifecycleMeanings),
  ...Object.keys(diagnosticNames),
] as EventName[];

export function isLifecycleName(name: string): name is LifecycleName {
  return Object.hasOwn(lifecycleMeanings, name);
}
