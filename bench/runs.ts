/**
 * What do background runs cost? Start to first byte, a terminal's throughput beside node-pty in process, 1,000 idle runs, the end
 * of them all, a run that prints 1 GB, and the death of the front over 200 that print.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import pty from "@lydell/node-pty";
import { Background } from "../test/helpers/background.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { renderTable, type Cell } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { median } from "./load.ts";
import { machineLine, megabytes, residentBytes } from "./machine.ts";

const rounds = 40;
const terminalBytes = 64 * 1024 * 1024;
const idleRuns = 1000;
const printingRuns = 200;
const atOnce = 50;
const bigBytes = 1_000_000_000;
const environment = { PATH: process.env["PATH"] ?? "", HOME: "/" };
const config = { exec: { enabled: true }, stop: { stdinGraceMs: 1000, termGraceMs: 1000 } };

async function timed(action: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await action();
  return performance.now() - began;
}

/** Calls over connections that stay open, as a client that calls often keeps them. */
function rpcOver(agent: Agent, gateway: Gateway): Background {
  const { token } = gateway;
  const rpc = async (method: string, params: unknown): Promise<unknown> => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
    };
    const sent = request(`${gateway.url}/rpc`, { method: "POST", agent, headers });
    sent.end(body);
    const [response] = await once(sent, "response");
    const answer = JSON.parse(await text(response)) as { result?: unknown; error?: { message: string } };
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  };
  return new Background({ rpc });
}

async function inGroups<T>(things: T[], action: (thing: T) => Promise<unknown>): Promise<void> {
  for (let first = 0; first < things.length; first += atOnce)
    await Promise.all(things.slice(first, first + atOnce).map(action));
}

async function plainSpawn(): Promise<void> {
  const child = spawn("echo", ["x"], { env: environment, stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
}

function nodePty(): Promise<void> {
  return new Promise((resolve) => {
    const terminal = pty.spawn("echo", ["x"], { env: environment });
    const heard = terminal.onData(() => {
      heard.dispose();
      resolve();
    });
  });
}

async function firstByte(background: Background, kind: "exec" | "pty"): Promise<void> {
  const { id } = await background.start({ kind, argv: ["echo", "x"] });
  await background.call("run.log", { id, waitMs: 10_000 });
}

async function startTable(background: Background): Promise<string> {
  const ways: [string, () => Promise<void>][] = [
    ["child_process.spawn, in process", plainSpawn],
    ["node-pty, in process", nodePty],
    ["exec by run.start and run.log over HTTP", () => firstByte(background, "exec")],
    ["pty by run.start and run.log over HTTP", () => firstByte(background, "pty")],
  ];
  const times = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1)
    for (const [index, [, start]] of ways.entries()) times[index]?.push(await timed(start));
  const rows = ways.map(([name], index): Cell[] => [name, (median(times[index] ?? []) ?? 0).toFixed(1)]);
  return renderTable(["start to first byte", "ms, median"], rows);
}

const printer = ["sh", "-c", `head -c ${terminalBytes} /dev/zero | tr '\\0' x`];

function throughNodePty(): Promise<number> {
  return new Promise((resolve) => {
    const began = performance.now();
    const terminal = pty.spawn(printer[0] ?? "", printer.slice(1), { env: environment, encoding: null });
    let bytes = 0;
    terminal.onData((chunk) => {
      bytes += chunk.length;
      if (bytes >= terminalBytes) resolve(performance.now() - began);
    });
  });
}

/** Until the last byte is in the log, or has reached a reader over HTTP. */
async function throughHoldfast(background: Background, isRead: boolean): Promise<number> {
  return timed(async () => {
    const { id } = await background.start({ kind: "pty", argv: printer, background: !isRead });
    if (isRead) {
      for (let offset = 0; offset < terminalBytes;) {
        const wanted = { id, offset, bytesMax: 256 * 1024, waitMs: 5000, pace: true };
        offset = (await background.call("run.log", wanted)).nextOffset;
      }
    }
    await background.ended(id);
  });
}

async function throughputTable(background: Background): Promise<string> {
  const ways: [string, () => Promise<number>][] = [
    ["node-pty, in process", throughNodePty],
    ["Holdfast, to the log", () => throughHoldfast(background, false)],
    ["Holdfast, to the log and all of it to a reader over HTTP", () => throughHoldfast(background, true)],
  ];
  const speeds = ways.map((): number[] => []);
  for (let round = 0; round < 5; round += 1)
    for (const [index, [, play]] of ways.entries()) speeds[index]?.push(terminalBytes / 1e6 / ((await play()) / 1000));
  const base = median(speeds[0] ?? []) ?? 1;
  const rows = ways.map(([name], index): Cell[] => {
    const speed = median(speeds[index] ?? []) ?? 0;
    return [name, speed.toFixed(0), (speed / base).toFixed(2)];
  });
  return renderTable(["a terminal that prints 64 MiB", "MB/s, median of 5", "share"], rows);
}

async function idleTable(background: Background, gateway: Gateway): Promise<string> {
  const rss = () => [gateway.pids.keeper, gateway.pids.front].map((pid) => megabytes(residentBytes(pid)));
  const [keeperBefore = "", frontBefore = ""] = rss();
  const ids: string[] = [];
  const startedMs = await timed(() =>
    inGroups(Array.from({ length: idleRuns }), async () => {
      ids.push((await background.start({ argv: ["sleep", "100000"], stdin: false })).id);
    }),
  );
  const lists: number[] = [];
  for (let round = 0; round < 10; round += 1) lists.push(await timed(async () => void (await background.live())));
  const [keeper = "", front = ""] = rss();
  const endedMs = await timed(
    async () => void (await Promise.all(ids.map((id) => background.call("run.kill", { id })))),
  );
  const left = (await background.live()).length;
  const rows: Cell[][] = [
    [`start of ${idleRuns}, ${atOnce} at a time, ms`, startedMs.toFixed(0)],
    ["keeper RSS before and with them, MB", `${keeperBefore} → ${keeper}`],
    ["front RSS before and with them, MB", `${frontBefore} → ${front}`],
    ["run.list with every process, ms, median of 10", (median(lists) ?? 0).toFixed(0)],
    [`kill of all, ${atOnce} at a time, until each is proven empty, ms`, endedMs.toFixed(0)],
    ["left", String(left)],
  ];
  return renderTable([`${idleRuns} idle runs`, ""], rows);
}

async function bigTable(background: Background, gateway: Gateway): Promise<string> {
  const rss = () => ({ keeper: residentBytes(gateway.pids.keeper), front: residentBytes(gateway.pids.front) });
  const before = rss();
  let most = before;
  const other = await background.start({ argv: ["cat"] });
  const pings: number[] = [];
  const big = await background.start({ argv: ["head", "-c", String(bigBytes), "/dev/zero"] });
  const began = performance.now();
  let offset = 0;
  for (let state = "running"; state !== "exited";) {
    pings.push(
      await timed(async () => {
        await background.call("run.submit", { id: other.id, text: "ping" });
        offset = (await background.call("run.log", { id: other.id, offset, waitMs: 5000 })).nextOffset;
      }),
    );
    const now = rss();
    most = { keeper: Math.max(most.keeper, now.keeper), front: Math.max(most.front, now.front) };
    ({ state } = await background.call("run.wait", { id: big.id, waitMs: 0 }));
  }
  const tookMs = performance.now() - began;
  await background.call("run.kill", { id: other.id, now: true });
  const rows: Cell[][] = [
    ["time to its end, ms", tookMs.toFixed(0)],
    ["keeper RSS before and at most, MB", `${megabytes(before.keeper)} → ${megabytes(most.keeper)}`],
    ["front RSS before and at most, MB", `${megabytes(before.front)} → ${megabytes(most.front)}`],
    [
      "another run's echo meanwhile, ms: median, at most",
      `${(median(pings) ?? 0).toFixed(1)}, ${Math.max(...pings).toFixed(0)}`,
    ],
  ];
  return renderTable(["a run that prints 1 GB", ""], rows);
}

/** Whether a run counted from 0 without a gap as far as it is read. */
function lostBytes(printed: string): number {
  const lines = printed.split("\n").slice(0, -1);
  return lines.reduce((lost, line, index) => (line === String(index) ? lost : lost + line.length + 1), 0);
}

async function frontTable(background: Background, gateway: Gateway): Promise<{ table: string; lost: number }> {
  const counter = "n=0; while :; do echo $n; n=$((n + 1)); sleep 0.2; done";
  const ids: string[] = [];
  await inGroups(Array.from({ length: printingRuns }), async () => {
    ids.push((await background.start({ command: counter, stdin: false })).id);
  });
  const { front } = gateway.pids;
  const began = performance.now();
  process.kill(front, "SIGKILL");
  await gateway.renewed({ front });
  const servesMs = performance.now() - began;
  await inGroups(ids, (id) => background.call("run.poll", { id }));
  const allMs = performance.now() - began;
  let lost = 0;
  await inGroups(ids, async (id) => {
    lost += lostBytes((await background.call("run.poll", { id })).text);
    await background.call("run.kill", { id, now: true });
  });
  const rows: Cell[][] = [
    ["the front serves again, ms", servesMs.toFixed(0)],
    ["every run has been read from its beginning, ms", allMs.toFixed(0)],
    ["bytes lost or doubled", String(lost)],
  ];
  return { table: renderTable([`front killed -9 over ${printingRuns} runs that print`, ""], rows), lost };
}

export async function run(): Promise<boolean> {
  const tier = bestTier();
  await using home = new Home(tier, config);
  await using gateway = await Gateway.start(home);
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const background = rpcOver(agent, gateway);
  console.log(`\nruns: tier ${tier}\n${machineLine()}`);
  console.log(`\n${await startTable(background)}`);
  console.log(`\n${await throughputTable(background)}`);
  console.log(`\n${await bigTable(background, gateway)}`);
  console.log(`\n${await idleTable(background, gateway)}`);
  const { table, lost } = await frontTable(background, gateway);
  console.log(`\n${table}`);
  agent.destroy();
  return lost === 0;
}
