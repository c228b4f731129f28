/** One valid sample of every message, and what each request is answered with. */
import { backgroundSpec } from "../../helpers/background-spec.ts";

export type Sample = Record<string, unknown>;

const process = { pid: 1, ppid: 0, state: "S", rssBytes: 1, startedAt: 1, command: "sleep 1" };
const background = {
  request: "n1-a",
  outputBytes: 0,
  lastOutputAt: null,
  lastInputAt: null,
  lastViewedAt: null,
  onFrontLoss: "keep",
  keepMs: 0,
  size: { columns: 80, rows: 24 },
  growing: null,
};
export const run = {
  id: "r1-0a",
  kind: "pty",
  server: null,
  sessionId: null,
  scopeKey: null,
  host: "local",
  state: "running",
  pid: 1,
  startedAt: 1,
  endedAt: null,
  leaderEndedAt: null,
  command: "sleep 1",
  cwd: null,
  background,
  endReason: null,
  exitCode: null,
  signal: null,
  survivors: [],
  processes: [process],
  silentSince: null,
};
const end = { offset: 0, bytes: "YQ==", printed: 1 };
export const place = { run: "r1-0a", waitMs: 0 };
export const server = {
  name: "s",
  kind: "stdio",
  enabled: true,
  requestTimeoutMs: 0,
  connectionTimeoutMs: 0,
  share: "session",
  idleTimeoutMs: 0,
  maxLifetimeMs: 0,
  fingerprint: "f",
  node: { host: "n", fallback: null, argv: ["a"], cwd: null, env: {}, limits: { processesMax: 1 } },
};
export const change = { added: [], removed: [], changed: [], unchanged: ["s"], needsRestart: [], unavailable: [] };
const crash = {
  who: "front",
  epoch: 1,
  at: 1,
  pid: 1,
  why: "died",
  detail: null,
  exitCode: 1,
  signal: null,
  lastMethod: null,
  downMs: null,
  file: "f",
};
const helper = { pid: 1, rssBytes: 1, restarts: 0, state: "serving", problem: null };
const status = {
  version: "0",
  tier: "cgroup",
  epoch: 1,
  keeper: { pid: 1, rssBytes: 1 },
  front: helper,
  guardian: helper,
  runs: 0,
  hosts: [],
  orphansSwept: 0,
  reconciled: [],
  crashes: [crash],
  startedAt: 1,
};
export const token = { id: "t", name: "t", digest: "0".repeat(64), scopes: ["admin"], expiresAt: null };
const connections = Object.fromEntries(
  (
    "max unprovenPerAddressMax headMs authMs idleMs heartbeatMs heartbeatGraceMs slowMs pauseBytes closeBytes " +
    "closingMs drainMs"
  )
    .split(" ")
    .map((name) => [name, 1]),
);
const config = {
  port: 0,
  bind: ["::1"],
  tls: null,
  servers: [server],
  session: { idleLeaseMs: 1, sessionsMax: 1 },
  connections,
  allowedOrigins: [],
  allowedHosts: [],
  questionMs: 1,
  messageBytesMax: 1,
  startsMax: 1,
  listMs: 1,
  nodes: { leaseMs: 1, beatMs: 1, pendingMs: 1 },
  tools: { exec: false, sessions: "read", status: false, nodes: false },
};

/** Of each request: what it takes, and what it is answered with. */
export const backgroundSamples: Record<string, [params: Sample, result: unknown]> = {
  "exec.start": [backgroundSpec({ request: "n1-a", leaseMs: 1000 }), run],
  "exec.read": [
    { ...place, stream: "stdout", offset: 0, bytesMax: 1, viewer: false, pace: false },
    { ...end, run, sizes: [{ offset: 0, columns: 80, rows: 24 }] },
  ],
  "exec.write": [{ run: "r1-0a", bytes: "", at: null, end: false }, { inputBytes: 0 }],
  "exec.resize": [{ run: "r1-0a", size: { columns: 80, rows: 24 } }, null],
  "exec.signal": [{ run: "r1-0a", signal: "SIGINT", to: "all" }, null],
  "exec.end": [{ run: "r1-0a", reason: "cancelled", hurried: false }, run],
  "exec.wait": [place, run],
  "exec.outcome": [
    { ...place, bytesMax: 1 },
    { run, stdout: end, stderr: end },
  ],
  "run.list": [{ all: false }, [run]],
};
const started = { channel: 1, run };
export const frontSamples: typeof backgroundSamples = {
  ...backgroundSamples,
  "exec.owners": [{}, [{ run: "r1-0a", sessionId: "s" }]],
  "exec.renew": [{}, { runs: 1 }],
  "exec.requests": [{}, [{ request: "n1-a", run }]],
  "exec.remove": [{ run: "r1-0a", end: true }, null],
  "run.start": [{ server: "s", sessionId: "s", onFrontLoss: "keep", blob: "" }, started],
  "run.abandon": [{ server: "s", sessionId: "s" }, null],
  "run.refresh": [{ server: null }, { s: ["a@1"] }],
  "run.launches": [{}, { s: { packages: [], installedAt: null, problem: null } }],
  "run.adopt": [{ run: "r1-0a" }, started],
  "run.stop": [{ run: "r1-0a", reason: "shutdown" }, run],
  "run.setBlob": [{ run: "r1-0a", blob: "" }, null],
  "gateway.status": [{}, status],
  "gateway.figures": [{}, { runs: [{ kind: "mcp", state: "running", count: 1 }], ends: [], lagMs: 0, descriptors: 1 }],
  "gateway.stop": [{}, null],
  "gateway.restart": [{ all: false }, null],
  "config.reload": [{}, change],
  "config.recheck": [{}, null],
};
export const nodeSamples: typeof backgroundSamples = {
  ...backgroundSamples,
  "lease.renew": [{ leaseMs: 1000 }, { runs: 1 }],
};

export const settings = {
  host: "h",
  port: 1,
  fingerprint: null,
  id: "i",
  name: "n",
  invite: null,
  once: false,
  instance: "0",
  tier: "cgroup",
  keyFile: "k",
  connectMs: 1,
  approvalMs: 1,
  invocationMs: 1,
  acknowledgeMs: 1,
};
export const credit = { type: "credit", channel: 1, bytes: 1 };
export const progress = { phase: "lost", text: "t", data: { code: 1 } };
export const failure = { code: "node_timeout", message: "m" };
export const openIds = { toServer: [1], toFront: [{ number: 1, serverId: '"a"' }] };
export const hello = { type: "hello", version: "0", epoch: 1, frontEpoch: 1, tokens: [token], frontDir: "/d", config };
export const about = { version: "0", platform: "linux", arch: "x64", tier: "cgroup", hostname: "h" };
export const prove = { type: "prove", publicKey: "A".repeat(43), instance: "0".repeat(16), name: "n", invite: null };
export const node = "0".repeat(32);
