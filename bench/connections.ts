/** What does a connection cost at rest, how fast do they come, and how fast is a call over one, beside bare `ws`? */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { GatewayClient } from "../src/client/rpc.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { renderTable } from "../test/helpers/table.ts";
import { fixture } from "../test/helpers/servers.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { median } from "./load.ts";
import { machineLine, residentBytes } from "./machine.ts";

const idleCount = 10_000;
const heldCount = 5000;
const sessionsHeld = 10;
const processesEach = 100;
const echoMs = 2000;
const rounds = 5;
const settleMs = 3000;
const idleSeconds = 20;
const statusCalls = 300;
const aims = { idleBytes: 15 * 1024, echoShare: 0.6, statusMs: 50, cpuShare: 0.005 };
const payload = "x".repeat(32);
const message = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "gateway.ping", params: { data: payload } });
/** Clock ticks a second of /proc/<pid>/stat, on every Linux that there is. */
const ticksPerSecond = 100;

interface Server {
  name: string;
  url: string;
  token: string | undefined;
  pid: number;
}

const program = (name: string) => fileURLToPath(new URL(`contenders/${name}`, import.meta.url));

/** A program of ours that prints one line when it is ready and ends with its stdin. */
async function startProgram(
  file: string,
  words: string[],
  token?: string,
): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [file, ...words], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...(token === undefined ? {} : { TEST_TOKEN: token }) },
  });
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  return { child, said: said.toString().trim() };
}

async function endProgram(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.stdin!.end();
  await exited;
}

function cpuSeconds(pids: number[]): number {
  const ticks = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, one) => sum + one, 0) / ticksPerSecond;
}

async function cpuShare(pids: number[], seconds: number): Promise<number> {
  const before = cpuSeconds(pids);
  await delay(seconds * 1000);
  return (cpuSeconds(pids) - before) / seconds;
}

interface Idle {
  bytesEach: number;
  perSecond: number;
}

async function holdIdle({ url, token, pid }: Server): Promise<Idle & { swarm: ChildProcess }> {
  const before = residentBytes(pid);
  const { child, said } = await startProgram(program("swarm.ts"), [url, String(idleCount)], token);
  await delay(settleMs);
  return { bytesEach: (residentBytes(pid) - before) / idleCount, perSecond: Number(said), swarm: child };
}

interface Echo {
  perSecond: number;
  p99Ms: number;
}

/** Each connection asks, waits for the answer, asks again. */
async function echo({ url, token }: Server, connections: number): Promise<Echo> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const sockets: WebSocket[] = [];
  for (let n = 0; n < connections; n++) {
    const ws = new WebSocket(`${url.replace("http", "ws")}/ws`, "holdfast.v1", { headers, perMessageDeflate: false });
    sockets.push(ws);
    if (n % 50 === 49 || n === connections - 1) await once(ws, "open");
  }
  await Promise.all(sockets.filter((ws) => ws.readyState !== ws.OPEN).map((ws) => once(ws, "open")));
  const times: number[] = [];
  const began = performance.now();
  const end = began + echoMs;
  await Promise.all(
    sockets.map(
      (ws) =>
        new Promise<void>((resolve) => {
          let askedAt = performance.now();
          ws.on("message", (data: Buffer) => {
            if (!data.includes(payload)) throw new Error(`no echo: ${data.toString()}`);
            const now = performance.now();
            times.push(now - askedAt);
            if (now > end) return resolve();
            askedAt = now;
            ws.send(message);
          });
          ws.send(message);
        }),
    ),
  );
  const perSecond = (times.length * 1000) / (performance.now() - began);
  const gone = sockets.map((ws) => once(ws, "close"));
  for (const ws of sockets) ws.terminate();
  await Promise.all(gone);
  const sorted = times.toSorted((a, b) => a - b);
  return { perSecond, p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0 };
}

async function benchEchoes(servers: Server[]): Promise<boolean> {
  const rows: (string | number)[][] = [];
  let held = true;
  for (const connections of [1, 100, 1000]) {
    const found = new Map<string, Echo[]>(servers.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++)
      for (const server of servers) found.get(server.name)?.push(await echo(server, connections));
    const middle = (name: string, pick: (one: Echo) => number) => median((found.get(name) ?? []).map(pick));
    const [bare = 0, ours = 0] = servers.map(({ name }) => middle(name, ({ perSecond }) => perSecond));
    // Of each round, in which both met the same machine; the median of those.
    const [bareRounds = [], ourRounds = []] = servers.map(({ name }) => found.get(name) ?? []);
    const share = median(ourRounds.map((one, round) => one.perSecond / (bareRounds[round]?.perSecond ?? 1)));
    held &&= share >= aims.echoShare;
    const p99 = servers.map(({ name }) => middle(name, ({ p99Ms }) => p99Ms).toFixed(1));
    rows.push([connections, Math.round(bare), Math.round(ours), share.toFixed(2), p99[0] ?? "", p99[1] ?? ""]);
  }
  console.log(
    `\nechoes: calls a second, each connection one at a time, medians of ${rounds} rounds of ${echoMs} ms (aim: share ≥ ${aims.echoShare})\n`,
  );
  console.log(renderTable(["connections", "bare ws", "holdfast", "share", "bare p99, ms", "holdfast p99, ms"], rows));
  return held;
}

async function benchIdle(servers: Server[], gateway: Gateway): Promise<boolean> {
  const pids = Object.values(gateway.pids);
  const rows: (string | number)[][] = [];
  const atRest = await cpuShare(pids, idleSeconds);
  let held = atRest < aims.cpuShare;
  let crowded = 0;
  for (const server of servers) {
    const { bytesEach, perSecond, swarm } = await holdIdle(server);
    if (server.name === "holdfast") {
      held &&= bytesEach <= aims.idleBytes;
      crowded = await cpuShare(pids, idleSeconds);
    }
    await endProgram(swarm);
    rows.push([server.name, (bytesEach / 1024).toFixed(1), perSecond]);
  }
  console.log(`\nidle: ${idleCount} authenticated connections (aim: ≤ ${aims.idleBytes / 1024} KB)\n`);
  console.log(renderTable(["", "RSS KB each", "opened a second"], rows));
  const percent = (share: number) => `${(share * 100).toFixed(2)} % of a core`;
  console.log(
    `\nthe whole gateway at rest: ${percent(atRest)} (aim: < ${percent(aims.cpuShare)}); with ${idleCount} idle connections: ${percent(crowded)}`,
  );
  return held;
}

async function benchStatus(home: Home, gateway: Gateway): Promise<boolean> {
  const clients = Array.from({ length: sessionsHeld }, () => gateway.mcp("many"));
  for (const client of clients) await client.initialize();
  const { child } = await startProgram(program("swarm.ts"), [gateway.url, String(heldCount)], gateway.token);
  const rpc = new GatewayClient({ state: home.stateDir });
  const processes = (await rpc.call("run.list", {})).reduce((sum, one) => sum + one.processes.length, 0);
  const rows: (string | number)[][] = [];
  let held = processes >= sessionsHeld * processesEach;
  for (const method of ["gateway.status", "session.list"] as const) {
    const times: number[] = [];
    for (let n = 0; n < statusCalls; n++) {
      const began = performance.now();
      await rpc.call(method, {});
      times.push(performance.now() - began);
    }
    const sorted = times.toSorted((a, b) => a - b);
    const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
    held &&= p99 < aims.statusMs;
    rows.push([method, median(times).toFixed(1), p99.toFixed(1)]);
  }
  console.log(
    `\n${processes} processes and ${heldCount} connections held, ${statusCalls} calls each over POST /rpc (aim: p99 < ${aims.statusMs} ms)\n`,
  );
  console.log(renderTable(["", "p50, ms", "p99, ms"], rows));
  await endProgram(child);
  for (const client of clients) client.vanish();
  return held;
}

export async function run(): Promise<boolean> {
  const sleeps = `i=0; while [ $i -lt ${processesEach} ]; do sleep 600 & i=$((i + 1)); done; exec "$0" "$1"`;
  const many = { command: "sh", args: ["-c", sleeps, process.execPath, fixture("polite-server.ts")] };
  await using home = new Home(bestTier(), {
    bind: ["127.0.0.1"],
    mcpServers: { many },
    connections: { max: idleCount + 1000, unprovenPerAddressMax: 1000 },
  });
  await using gateway = await Gateway.start(home);
  const bare = await startProgram(program("bare-ws.ts"), []);
  const servers: Server[] = [
    { name: "bare ws", url: `http://127.0.0.1:${bare.said}`, token: undefined, pid: bare.child.pid ?? 0 },
    { name: "holdfast", url: gateway.url, token: gateway.token, pid: gateway.pids.front },
  ];
  console.log(`\nconnections\n${machineLine()}`);
  const outcomes = [await benchIdle(servers, gateway), await benchEchoes(servers), await benchStatus(home, gateway)];
  await endProgram(bare.child);
  return outcomes.every(Boolean);
}
