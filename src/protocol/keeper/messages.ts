/**
 * The words that keeper and front say to each other over `fork` IPC (JSON), and nothing else crosses but frames (frames.ts).
 * Types only: the keeper checks what it hears with accept.ts, the front trusts its keeper.
 */
import type { KeeperFigures, KeeperStatus } from "./status.ts";
import type { ErrorCode } from "../../errors.ts";
import type { LifecycleEvent } from "../../events.ts";
import type { LaunchView } from "./launches.ts";
import type { BackgroundRequests, BackgroundView } from "./background.ts";
import type { NodeFinish, NodeProgress, NodeSettings } from "./node.ts";

export type RunKind = "exec" | "pty" | "mcp";
export type RunState = "starting" | "running" | "stopping" | "exited" | "lost";

/** Why a run ended. One union, in the ledger, in logs and in the API. */
export const endReasons = [
  "exited", // the main process ended by itself with a code
  "signaled", // the main process was ended by a signal that Holdfast did not send
  "session-ended",
  "scope-replaced",
  "timeout",
  "no-output",
  "cancelled",
  "front-lost",
  "lease-expired",
  "keeper-lost",
  "orphan-swept",
  "node-lost",
  "spawn-failed",
  "limit-exceeded",
  "defect", // Holdfast itself failed on what it said
  "config-changed", // its server is another in the config now, or is not in it any more
  "shutdown",
] as const;
export type EndReason = (typeof endReasons)[number];

/** What a token may do: look; start and use things; govern the gateway itself, which includes the other two. */
export const tokenScopes = ["read", "run", "admin"] as const;
export type TokenScope = (typeof tokenScopes)[number];

/** A token as the front knows it: enough to recognise it, not enough to use it. */
export interface TokenGrant {
  id: string;
  name: string;
  /** SHA-256 of the token, hex. */
  digest: string;
  scopes: TokenScope[];
  /** Milliseconds since the epoch; null = never. */
  expiresAt: number | null;
}

/** One process of a run as the kernel showed it; zombies are never listed. */
export interface ProcessView {
  pid: number;
  ppid: number;
  /** The letter of `ps`: R S D T … */
  state: string;
  rssBytes: number;
  /** Milliseconds since the epoch at which the process began. */
  startedAt: number;
  command: string;
}

/** One run as the keeper knows it: the shape of `ps --json`. Times are milliseconds since the epoch. */
export interface RunView {
  id: string;
  kind: RunKind;
  server: string | null;
  sessionId: string | null;
  scopeKey: string | null;
  host: string;
  state: RunState;
  pid: number | null;
  startedAt: number;
  endedAt: number | null;
  leaderEndedAt: number | null;
  command: string;
  cwd: string | null;
  /** Null for an MCP run, and for one that has ended. */
  background: BackgroundView | null;
  endReason: EndReason | null;
  exitCode: number | null;
  signal: string | null;
  /** Processes that could not be ended (D state, other uid) when the stop sequence gave up. */
  survivors: ProcessView[];
  processes: ProcessView[];
}

export interface CrashView {
  who: "front" | "guardian" | "keeper";
  /** Of the keeper in whose life it happened. */
  epoch: number;
  /** When it was noticed; for a keeper the last sign of it. */
  at: number;
  pid: number;
  /**
   * `died`: exit code or signal say how; `stuck`: its loop did not turn, so the keeper ended it; `threw`: an exception that
   * nobody caught; `vanished`: gone without a clean stop (kill -9, out of memory); `machine-restarted`: with the whole machine.
   */
  why: "died" | "stuck" | "threw" | "vanished" | "machine-restarted";
  /** More about why, in words; null = there is no more. */
  detail: string | null;
  exitCode: number | null;
  signal: string | null;
  /** What the front had announced last; null for the others. */
  lastMethod: string | null;
  /** Milliseconds until another front served; null = none did (yet), or no front. */
  downMs: number | null;
  /** File that holds the last 64 KiB of its stderr. */
  file: string;
}

/** One MCP server as the front may know it: how to treat it, not what it is. */
export interface FrontServer {
  name: string;
  /** As the config calls it, where that cannot be part of a path. */
  writtenName?: string;
  /** Why it cannot be had as things are, and what to do; absent = it can. */
  problem?: string;
  kind: "stdio" | "http" | "sse";
  enabled: boolean;
  requestTimeoutMs: number;
  connectionTimeoutMs: number;
  share: "session" | "pool";
  idleTimeoutMs: number;
  maxLifetimeMs: number;
  /** Equal for two servers only if command, arguments, directory and environment are, or address and headers. */
  fingerprint: string;
  /** Said with its timeout: what may be wrong with a program that downloads what it runs. */
  timeoutHint?: string;
  /** Of a remote server, which the front speaks to itself: its address, and what is sent with each request. */
  url?: string;
  headers?: Record<string, string>;
  /** Whether one may log in there (OAuth): not where the config has credentials for it, or says no. */
  oauth?: boolean;
  /** Of a server on a node, which the front asks for it. */
  node?: NodePlace;
}

/** A server on a node: where, what is started there, and where else while that node is away. */
export interface NodePlace {
  /** Name of the node. */
  host: string;
  /** `local` or a node's name; null = nowhere: calls are errors until the node is back. */
  fallback: string | null;
  argv: string[];
  cwd: string | null;
  env: Record<string, string>;
  limits: { processesMax?: number | undefined; memoryBytesMax?: number | undefined };
}

/** The part of the config that the front may know: no command, no argument, no environment, but of servers that nodes run. */
export interface FrontConfig {
  port: number;
  bind: string[];
  /** Certificate (with its chain) and key, PEM; null = plain HTTP. */
  tls: { cert: string; key: string } | null;
  servers: FrontServer[];
  session: { idleLeaseMs: number; sessionsMax: number };
  /** Limits and deadlines of connections; each is explained in docs/config.md. */
  connections: {
    max: number;
    unprovenPerAddressMax: number;
    headMs: number;
    authMs: number;
    idleMs: number;
    heartbeatMs: number;
    heartbeatGraceMs: number;
    slowMs: number;
    pauseBytes: number;
    closeBytes: number;
    closingMs: number;
    drainMs: number;
  };
  allowedOrigins: string[];
  allowedHosts: string[];
  /** How long a call waits for a client that has no session and was asked something, in milliseconds. */
  questionMs: number;
  /** Largest JSON-RPC message either way, in bytes. */
  messageBytesMax: number;
  /** MCP servers that may be starting at one time. */
  startsMax: number;
  /** How long a session waits for servers that do not answer, for `initialize` and all its lists together, in milliseconds. */
  listMs: number;
  /** Times of nodes, in milliseconds; each is explained in docs/config.md. */
  nodes: { leaseMs: number; beatMs: number; pendingMs: number };
  /** Holdfast's own tools on `/mcp`: the scope that a token needs for them; false = off. `exec` is `process` too. */
  tools: Record<"exec" | "sessions" | "status" | "nodes", TokenScope | false>;
}

/** What a reload of the config made another: names of servers, and the keys that wait for `restart --all`. */
export interface ConfigChange {
  added: string[];
  removed: string[];
  changed: string[];
  unchanged: string[];
  needsRestart: string[];
  /** Servers that cannot be had as they stand, each with why and what to do. */
  unavailable: { name: string; problem: string }[];
}

/** Requests without an answer: `toServer` were asked by a front, `toFront` by the server under an id of its own making. */
export interface HeldIds {
  toServer: number[];
  toFront: { number: number; serverId: string }[];
}

/** A run that outlived its front, offered to the next one, which takes it with `run.adopt` before it listens, or loses it. */
export interface HeldRun {
  run: RunView;
  /** What the front before wrote for its successor; the keeper does not read it. */
  blob: string;
  openIds: HeldIds;
}

export type KeeperMessage =
  | {
      type: "hello";
      version: string;
      epoch: number;
      frontEpoch: number;
      tokens: TokenGrant[];
      frontDir: string;
      config: FrontConfig;
      node: NodeSettings | null; // of a gateway's front null
      runs: HeldRun[];
    }
  | { type: "reply"; request: number; result: unknown }
  | { type: "refusal"; request: number; code: ErrorCode; message: string }
  | { type: "run.state"; run: RunView; channel: number }
  | { type: "credit"; channel: number; bytes: number }
  /** All that are good from now on; connections of any other are to be closed. */
  | { type: "tokens"; tokens: TokenGrant[] }
  /** All servers as they are from now on, and which of them are another than before. */
  | { type: "servers"; servers: FrontServer[]; change: ConfigChange }
  | { type: "event"; event: LifecycleEvent }
  | { type: "drain"; reason: string };

/** What the front may ask, by name; each is answered by `reply` or `refusal` with the same `request` number. */
export interface FrontRequests extends BackgroundRequests {
  "run.start": {
    params: { server: string; sessionId: string; onFrontLoss: "keep" | "kill"; blob: string };
    result: { channel: number; run: RunView };
  };
  /** The session wants no run of this server any more: a start that still waits for its packages is given up. */
  "run.abandon": { params: { server: string; sessionId: string }; result: null };
  /** Null = all. Packages by server, of those with `resolveNpx`: they are installed anew by the next start. */
  "run.refresh": { params: { server: string | null }; result: Record<string, string[]> };
  /** By name of the server; only those with `resolveNpx` that were started. */
  "run.launches": { params: Record<string, never>; result: Record<string, LaunchView> };
  /** Takes over a run of `hello.runs`: from the answer on its lines come. */
  "run.adopt": { params: { run: string }; result: { channel: number; run: RunView } };
  "run.stop": { params: { run: string; reason: EndReason }; result: RunView };
  "run.setBlob": { params: { run: string; blob: string }; result: null };
  "run.list": { params: { all: boolean }; result: RunView[] };
  "gateway.status": { params: Record<string, never>; result: KeeperStatus };
  "gateway.figures": { params: Record<string, never>; result: KeeperFigures };
  "gateway.stop": { params: Record<string, never>; result: null };
  "gateway.restart": { params: { all: boolean }; result: null };
  /** Reads the config anew. The message `servers` comes before the answer. */
  "config.reload": { params: Record<string, never>; result: ConfigChange };
  /** Looks again at the servers that could not be had. If one can be now, the message `servers` comes before the answer. */
  "config.recheck": { params: Record<string, never>; result: null };
}
export type FrontRequestName = keyof FrontRequests;

export type FrontMessage =
  | { [N in FrontRequestName]: { type: N; request: number; params: FrontRequests[N]["params"] } }[FrontRequestName]
  | { type: "listening"; urls: string[] }
  | { type: "failed"; code: ErrorCode; message: string }
  | { type: "credit"; channel: number; bytes: number }
  | { type: "heartbeat"; lastMethod: string }
  | { type: "progress"; progress: NodeProgress }
  | { type: "finished"; finish: NodeFinish };

/** Largest opaque blob per run, in bytes. */
export const blobBytesMax = 64 * 1024;
