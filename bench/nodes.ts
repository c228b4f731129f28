/**
 * What does a command on a node cost, beside ssh with and without a control master, and is anything left of many? Exit code 1 if
 * a process, a socket or a descriptor is left on either side.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { RunView } from "../src/protocol/run.ts";
import { FarSide } from "../test/helpers/far-side.ts";
import { Gateway, mainFile } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { everything } from "../test/helpers/servers.ts";
import { renderTable, type Cell } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { until } from "../test/helpers/until.ts";
import { descriptorsOf, familyOf } from "../test/nodes/helpers/baseline.ts";
import { joinNode } from "../test/nodes/helpers/join-node.ts";
import type { NodeProcess } from "../test/nodes/helpers/node-process.ts";
import { machineLine, megabytes, residentBytes } from "./machine.ts";

const rounds = 300;
const commandRounds = 40;
const inFlight = 32;
const loadMs = 5000;
const inARow = 200;
const atOnce = 50;
const onceNodes = 200;
const onceAtOnce = 4;
const boundMs = 30_000;
const aim = { p50Ms: 10, timesSsh: 10 };
const stop = { stdinGraceMs: 500, termGraceMs: 500 };

interface Invoked {
  run: RunView;
  stdout: string;
}

class Caller {
  readonly #gateway: Gateway;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  async invoke(node: string, argv: string[]): Promise<Invoked> {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "node.invoke", params: { node, argv } });
    const headers = {
      authorization: `Bearer ${this.#gateway.token}`,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
    };
    const sent = request(`${this.#gateway.url}/rpc`, { method: "POST", agent: this.#agent, headers });
    sent.end(body);
    const [response] = await once(sent, "response");
    const answer = JSON.parse(await text(response)) as { result?: Invoked; error?: { message: string } };
    if (answer.result === undefined) throw new Error(answer.error?.message);
    return answer.result;
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function runProgram(command: string, args: string[]): Promise<{ code: number | null; stdout: string }> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [stdout] = await Promise.all([text(child.stdout), once(child, "close")]);
  return { code: child.exitCode, stdout };
}

async function times(count: number, action: () => Promise<unknown>): Promise<number[]> {
  await action(); // what only the first one pays
  const taken: number[] = [];
  for (let round = 0; round < count; round++) {
    const began = performance.now();
    await action();
    taken.push(performance.now() - began);
  }
  return taken.toSorted((a, b) => a - b);
}

const quantile = (sorted: number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

async function mustExit0(command: string, args: string[]): Promise<void> {
  const { code } = await runProgram(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: exit code ${code}`);
}

/** Established and half-open TCP sockets on a port, both ends; those that only wait for their time (TIME-WAIT) are nobody's. */
function socketsOn(port: number): string[][] {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const timeWait = "06";
  const listening = "0A";
  return ["tcp", "tcp6"]
    .flatMap((name) => readFileSync(`/proc/net/${name}`, "latin1").trim().split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = "", remote = "", state = ""]) => {
      const isHere = local.endsWith(`:${wanted}`) || remote.endsWith(`:${wanted}`);
      return isHere && state !== timeWait && state !== listening;
    });
}

interface Count {
  processes: number;
  sockets: number;
  gatewayFds: number;
  nodeFds: number;
}

function countAll(gateway: Gateway, node: NodeProcess): Count {
  return {
    processes: familyOf(node.pid) + familyOf(gateway.pids.keeper),
    sockets: socketsOn(Number(new URL(gateway.url).port)).length,
    gatewayFds: descriptorsOf(gateway.pids.front) + descriptorsOf(gateway.pids.keeper),
    nodeFds: descriptorsOf(node.record.front.pid) + descriptorsOf(node.pid),
  };
}

const sum = ({ processes, sockets, gatewayFds, nodeFds }: Count) => processes + sockets + gatewayFds + nodeFds;
const told = ({ processes, sockets, gatewayFds, nodeFds }: Count) =>
  `${processes} / ${sockets} / ${gatewayFds} / ${nodeFds}`;

/** The counts as they are twice in a row: the kernel's table of sockets is not read in one instant, and a row may be missed. */
async function steady(count: () => Count): Promise<Count> {
  let last: Count | undefined;
  const ask = () => {
    const [earlier, now] = [last, count()];
    last = now;
    return earlier !== undefined && told(earlier) === told(now) ? now : undefined;
  };
  return until("the same counts twice", ask, { boundMs: 10_000, everyMs: 100 });
}

/** The counts once they are no more than before, or as they are after a while. */
async function settled(before: Count, count: () => Count): Promise<Count> {
  await until("what was before", () => sum(count()) <= sum(before), { boundMs: 10_000, everyMs: 50 }).catch(() => {});
  return count();
}

async function roundTrips(
  caller: Caller,
  gateway: Gateway,
  far: FarSide,
): Promise<{ rows: Cell[][]; p50Ms: number; ssh: number }> {
  const token = ["--state", gateway.home.stateDir];
  const control = ["-F", far.config, "-o", "ControlMaster=auto", "-o", `ControlPath=${join(far.directory, "c")}`];
  const ways: [string, number, () => Promise<unknown>][] = [
    ["node.invoke over HTTP, connection kept", rounds, () => caller.invoke("far", ["true"])],
    ["ssh with a control master", commandRounds * 2, () => mustExit0("/usr/bin/ssh", [...control, "-o", "ControlPersist=yes", "far", "true"])], // prettier-ignore
    ["ssh without", commandRounds, () => mustExit0("/usr/bin/ssh", ["-F", far.config, "far", "true"])],
    ["the command: holdfast nodes run", commandRounds, () => mustExit0(process.execPath, [mainFile, "nodes", "run", "far", ...token, "--", "true"])], // prettier-ignore
  ];
  const rows: Cell[][] = [];
  const p50s: number[] = [];
  for (const [name, count, action] of ways) {
    const taken = await times(count, action);
    const p50 = quantile(taken, 0.5);
    p50s.push(p50);
    rows.push([name, p50.toFixed(1), quantile(taken, 0.99).toFixed(1), count]);
  }
  await runProgram("/usr/bin/ssh", [...control, "-q", "-O", "exit", "far"]);
  return { rows, p50Ms: p50s[0] ?? 0, ssh: p50s[2] ?? 0 };
}

async function perSecond(caller: Caller): Promise<number> {
  const deadline = performance.now() + loadMs;
  let done = 0;
  const one = async () => {
    while (performance.now() < deadline) {
      await caller.invoke("far", ["true"]);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return done / (loadMs / 1000);
}

/** The bug report at length: each is told apart, and nothing is left. */
async function atLength(gateway: Gateway, node: NodeProcess): Promise<{ rows: Cell[][]; held: boolean }> {
  const rows: Cell[][] = [];
  let held = true;
  const step = async (name: string, action: () => Promise<number>) => {
    const before = await steady(() => countAll(gateway, node));
    const began = performance.now();
    const wrong = await action();
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const after = await settled(before, () => countAll(gateway, node));
    if (after.sockets > before.sockets)
      for (const [, local, remote, state, ...rest] of socketsOn(Number(new URL(gateway.url).port)))
        console.log(`socket ${local} ${remote}, state ${state}, inode ${rest[5]}`);
    held = held && wrong === 0 && sum(after) <= sum(before);
    rows.push([name, told(before), told(after), wrong, seconds]);
  };
  const nodesRun = async (index: number): Promise<number> => {
    const line = `echo ${index}; exit ${index % 100}`;
    const words = ["nodes", "run", "far", "--state", gateway.home.stateDir, "--", "sh", "-c", line];
    const { code, stdout } = await runProgram(process.execPath, [mainFile, ...words]);
    return code === index % 100 && stdout === `${index}\n` ? 0 : 1;
  };
  const onceRun = async (index: number): Promise<number> => {
    const name = `once-${index}`;
    const one = await joinNode(gateway, name, { words: ["--once"], config: { stop } });
    const params = { node: name, argv: ["sh", "-c", `echo ${index}; exit ${index % 100}`] };
    const { run: ended, stdout } = (await gateway.rpc("node.invoke", params)) as Invoked;
    const code = await one.ended();
    await one[Symbol.asyncDispose]();
    return code === index % 100 && ended.exitCode === index % 100 && stdout === `${index}\n` ? 0 : 1;
  };
  const inTurn = async (count: number, lanes: number, action: (index: number) => Promise<number>) => {
    let next = 0;
    let wrong = 0;
    const lane = async () => {
      while (next < count) wrong += await action(next++);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return wrong;
  };
  await step(`${inARow} nodes run in a row`, () => inTurn(inARow, 1, nodesRun));
  await step(`${atOnce} nodes run at once`, () => inTurn(atOnce, atOnce, nodesRun));
  await step(`${onceNodes} nodes with --once`, () => inTurn(onceNodes, onceAtOnce, onceRun));
  return { rows, held };
}

async function calls(gateway: Gateway): Promise<Cell[][]> {
  const rows: Cell[][] = [];
  for (const server of ["near", "far"]) {
    using client = gateway.mcp(server);
    await client.initialize();
    const taken = await times(rounds, () => client.call("echo", { message: "hi" }));
    rows.push([server === "near" ? "at home" : "on the node", quantile(taken, 0.5).toFixed(1), quantile(taken, 0.99).toFixed(1)]); // prettier-ignore
    await client.delete();
  }
  return rows;
}

export async function run(): Promise<boolean> {
  await using far = await FarSide.start();
  await using home = new Home(bestTier());
  const { command, args } = everything(home.pidFile);
  home.configure({ mcpServers: { near: { command, args }, far: { command, args, host: "far" } }, stop });
  await using gateway = await Gateway.start(home);
  await using node = await joinNode(gateway, "far", { config: { stop } });
  const idle = () => [node.pid, node.record.front.pid, node.record.guardian.pid].map(residentBytes);
  const idleBytes = idle();
  const caller = new Caller(gateway);
  const { rows, p50Ms, ssh } = await roundTrips(caller, gateway, far);
  const rate = await perSecond(caller);
  caller.close();
  console.log("\nnodes: a command on a persistent node, gateway, node and a real sshd on loopback");
  console.log(`${machineLine()}\n`);
  console.log(renderTable(["round trip of `true`", "p50 ms", "p99 ms", "times"], rows));
  console.log(`\np50 ${p50Ms.toFixed(1)} ms (aim: under ${aim.p50Ms}); ${(ssh / p50Ms).toFixed(1)} times as fast as ssh without a master (aim: ${aim.timesSsh})`); // prettier-ignore
  console.log(`${rate.toFixed(0)} invocations a second at ${inFlight} in flight`);
  const [keeper = 0, front = 0, guardian = 0] = idleBytes;
  const after = idle().reduce((all, bytes) => all + bytes, 0);
  console.log(`an idle node: ${megabytes(keeper + front + guardian)} MB resident (keeper ${megabytes(keeper)}, front ${megabytes(front)}, guardian ${megabytes(guardian)}); ${megabytes(after)} MB after the load`); // prettier-ignore
  console.log(`\n${renderTable(["tools/call echo", "p50 ms", "p99 ms"], await calls(gateway))}`);
  await until("no run", async () => ((await gateway.rpc("run.list")) as RunView[]).length === 0, { boundMs });
  const { rows: lengths, held } = await atLength(gateway, node);
  console.log("\nthe bug report at length: processes / sockets / descriptors of the gateway / of the node\n");
  console.log(renderTable(["", "before", "after", "wrong results", "s"], lengths));
  return held;
}
