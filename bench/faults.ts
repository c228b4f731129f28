/**
 * What do clients that misbehave leave behind? The fault matrix on a real gateway, the black holes that only a network of
 * one's own can make included, and what the kernel still holds two minutes later. Exits 1 when anything is late or left.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { configSchema } from "../src/config/schema.ts";
import { faults, type Fault, type Place, type Running } from "../test/gateway/helpers/faults.ts";
import { connectRaw, frame, opcodes, RawWebSocket } from "../test/gateway/helpers/frames.ts";
import { socketsOf } from "../test/gateway/helpers/kernel-sockets.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { McpClient } from "../test/helpers/mcp-client.ts";
import { fixture } from "../test/helpers/servers.ts";
import { renderTable } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { until } from "../test/helpers/until.ts";
import { machineLine } from "./machine.ts";

const slackMs = 2000;
const laterMs = 120_000;
const inside = "HOLDFAST_BENCH_NETWORK";
/** Shorter than the defaults, so that a run takes minutes and not a quarter of an hour; the rhythm is the same. */
const connections = {
  ...configSchema.parse({}).connections,
  headMs: 2000,
  authMs: 2000,
  idleMs: 3000,
  heartbeatMs: 2000,
  heartbeatGraceMs: 2000,
  slowMs: 3000,
  closingMs: 1000,
};

/** The line is cut below these clients: no FIN, no RST, no ACK ever comes from them again. */
const blackHoles: Fault[] = [
  {
    name: "black hole, idle WebSocket",
    deadlineMs: ({ heartbeatMs, heartbeatGraceMs }) => heartbeatMs + heartbeatGraceMs,
    start: async ({ url, token }) => asRunning(await RawWebSocket.open(url, token)),
  },
  {
    name: "black hole, WebSocket with data in flight",
    deadlineMs: ({ heartbeatMs, heartbeatGraceMs }) => heartbeatMs + heartbeatGraceMs,
    start: async ({ url, token }) => {
      const raw = await RawWebSocket.open(url, token);
      const params = { data: "x".repeat(60_000) };
      const call = frame(opcodes.text, JSON.stringify({ jsonrpc: "2.0", id: 1, method: "gateway.ping", params }));
      for (let n = 0; n < 20; n++) raw.socket.write(call);
      // The first answers are on the way when the line is cut.
      await raw.hear(1);
      raw.socket.pause();
      return asRunning(raw);
    },
  },
];

/** The kernel's keep-alive must not come first: the stream's comment every 15 s is what nobody acknowledges. */
const patient = { ...connections, heartbeatMs: 20_000 };

/** An HTTP event stream with data in flight: six retransmissions, more than 12 s, are the proof that nobody is there. */
const eventStream: Fault = {
  name: "black hole, HTTP event stream with data in flight",
  deadlineMs: () => 15_000 + 13_000 + patient.heartbeatMs,
  start: async ({ url, token }) => {
    const client = new McpClient(`${url}/mcp/polite`, token);
    await client.initialize();
    const socket = await connectRaw(url);
    const lines = [
      "GET /mcp/polite HTTP/1.1",
      "Host: localhost",
      `Authorization: Bearer ${token}`,
      `Mcp-Session-Id: ${client.sessionId}`,
      "Mcp-Protocol-Version: 2025-11-25",
      "Accept: text/event-stream",
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    const [head] = (await once(socket, "data")) as [Buffer];
    if (!head.toString("latin1").startsWith("HTTP/1.1 200")) throw new Error(head.toString("latin1"));
    client.vanish();
    return { port: socket.localPort ?? 0, clean: () => void socket.destroy() };
  },
};

const asRunning = (raw: RawWebSocket): Running => ({
  port: raw.socket.localPort ?? 0,
  clean: () => void raw.socket.destroy(),
});

interface Row {
  name: string;
  deadlineMs: number;
  releasedMs: number | undefined;
  forgottenMs: number | undefined;
}

/** Follows one client's connection until its descriptor is released and the kernel has forgotten it. */
async function follow(fault: Fault, port: number, clientPort: number, began: number): Promise<Row> {
  const deadlineMs = fault.deadlineMs(connections);
  const mine = () => socketsOf(port).filter(({ remotePort }) => remotePort === clientPort);
  const when = async (isOver: () => boolean, boundMs: number) => {
    try {
      await until(fault.name, isOver, { boundMs, everyMs: 20 });
      return performance.now() - began;
    } catch {
      return undefined; // the table says so
    }
  };
  const releasedMs = await when(() => !mine().some(({ held }) => held), deadlineMs + slackMs + 10_000);
  const forgottenMs = await when(() => mine().length === 0, laterMs);
  return { name: fault.name, deadlineMs, releasedMs, forgottenMs };
}

async function playAll(list: Fault[], place: Place, port: number, cut?: () => void): Promise<Row[]> {
  const started = await Promise.all(
    list.map(async (fault) => {
      const running = await fault.start(place);
      return { fault, running, began: performance.now() };
    }),
  );
  cut?.();
  const cutAt = performance.now();
  const rows = await Promise.all(
    started.map(({ fault, began, running }) => follow(fault, port, running.port, cut === undefined ? began : cutAt)),
  );
  for (const { running } of started) await running.clean();
  return rows;
}

async function measure(): Promise<boolean> {
  const polite = { command: process.execPath, args: [fixture("polite-server.ts")] };
  const lo = (state: "up" | "down") => {
    if (spawnSync("ip", ["link", "set", "lo", state]).status !== 0) throw new Error("`ip link` failed");
  };
  const rows: Row[] = [];
  console.log(
    `\nfaults: seconds from the fault until our descriptor is released, and until the kernel has forgotten it`,
  );
  console.log(`${machineLine()}\n`);
  await using home = new Home(bestTier(), { bind: ["127.0.0.1"], connections });
  await using gateway = await Gateway.start(home);
  await using otherHome = new Home(bestTier(), { bind: ["127.0.0.1"], connections: patient, mcpServers: { polite } });
  await using other = await Gateway.start(otherHome);
  const [port, otherPort] = [gateway, other].map(({ url }) => Number(new URL(url).port)) as [number, number];
  const place = { url: gateway.url, token: gateway.token, limits: connections };
  rows.push(...(await playAll(faults, place, port)));
  const stream = await eventStream.start({ url: other.url, token: other.token, limits: patient });
  const following = follow(eventStream, otherPort, stream.port, performance.now());
  rows.push(...(await playAll(blackHoles, place, port, () => lo("down"))), await following);
  await stream.clean();
  lo("up");
  const seconds = (ms: number | undefined) => (ms === undefined ? "never" : (ms / 1000).toFixed(1));
  console.log(
    renderTable(
      ["fault", "configured, s", "released, s", "forgotten, s"],
      rows.map(({ name, deadlineMs, releasedMs, forgottenMs }) => [
        name,
        seconds(deadlineMs),
        seconds(releasedMs),
        seconds(forgottenMs),
      ]),
    ),
  );
  await delay(laterMs);
  const left = [port, otherPort].flatMap(socketsOf);
  console.log(
    `\n${laterMs / 1000} s later the kernel has ${left.length} sockets of the two gateways' ports: ${left.map(({ state }) => state).join(", ") || "none"}`,
  );
  const late = rows.filter(({ deadlineMs, releasedMs }) => (releasedMs ?? Infinity) > deadlineMs + slackMs);
  for (const { name } of late) console.log(`LATE: ${name}`);
  return late.length === 0 && left.length === 0;
}

/** In a network of its own where this user may make one: the lines that are cut are nobody else's. */
export async function run(): Promise<boolean> {
  if (process.env[inside] !== undefined) return measure();
  const reason =
    spawnSync("unshare", ["--net", "ip", "link", "set", "lo", "up"]).status === 0
      ? undefined
      : "`unshare --net` and `ip` are needed, as root";
  if (reason !== undefined) {
    console.log(`\nfaults: skipped: ${reason}`);
    return true;
  }
  const script = 'ip link set lo up && exec "$@"';
  const self = fileURLToPath(new URL("index.ts", import.meta.url));
  const child = spawn("unshare", ["--net", "sh", "-c", script, "sh", process.execPath, self, "faults"], {
    stdio: "inherit",
    env: { ...process.env, [inside]: "1" },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  return code === 0;
}
