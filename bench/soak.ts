/**
 * `node bench/soak.ts [--minutes N] [--seed N]`: random clients, faults and restarts, and every 10 s a look whether what the
 * gateway says agrees with the operating system. Prints a row each time; exits 1 on the first disagreement.
 */
import { parseArgs } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { GatewayClient } from "../src/client/rpc.ts";
import { configSchema } from "../src/config/schema.ts";
import { faults } from "../test/gateway/helpers/faults.ts";
import { socketDescriptors, socketsOf } from "../test/gateway/helpers/kernel-sockets.ts";
import { Socket } from "../test/gateway/helpers/socket.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { exchange } from "../test/helpers/http.ts";
import type { McpClient } from "../test/helpers/mcp-client.ts";
import { fixture } from "../test/helpers/servers.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { Random } from "../test/mcp/helpers/random.ts";
import { argumentsOf, machineLine, residentBytes } from "./machine.ts";

const lookMs = 10_000;
/** Time for what is on its way out to be gone before a disagreement is one. */
const settleMsMax = 10_000;
const pauseMsMax = 60;
const socketsMax = 60;
const mcpMax = 8;
/** Percent of the steps; the rest opens and closes WebSockets. */
const chances = { mcp: 8, fault: 5, restart: 1, kill: 1 };
const connections = {
  ...configSchema.parse({}).connections,
  headMs: 1000,
  authMs: 1000,
  idleMs: 2000,
  heartbeatMs: 1000,
  heartbeatGraceMs: 1000,
  slowMs: 1500,
  closingMs: 500,
};

interface Counts {
  connections: [said: number, kernel: number];
  processes: [said: number, marked: number];
  sessions: number;
  /** Sockets that the front has open, those of its channel to the keeper included. */
  descriptors: number;
}

class Soak {
  readonly #random: Random;
  readonly #home: Home;
  readonly #gateway: Gateway;
  readonly #sockets = new Set<Socket>();
  readonly #mcp = new Set<McpClient>();
  /** Faults under way, and a stop for when a front that is replaced takes their connections with it. */
  readonly #faults = new Set<Promise<void>>();
  readonly done = { steps: 0, faults: 0, restarts: 0, kills: 0 };

  constructor(seed: number, home: Home, gateway: Gateway) {
    this.#random = new Random(seed);
    this.#home = home;
    this.#gateway = gateway;
  }

  async step(): Promise<void> {
    this.done.steps++;
    const { mcp, fault, restart, kill } = chances;
    const draw = this.#random.int(100);
    if (draw < mcp) await this.#stepMcp();
    else if (draw < mcp + fault) this.#startFault();
    else if (draw < mcp + fault + restart) await this.#replaceFront("restart");
    else if (draw < mcp + fault + restart + kill) await this.#replaceFront("kill");
    else await this.#stepSocket();
    await delay(this.#random.int(pauseMsMax));
  }

  async #stepSocket(): Promise<void> {
    const [oldest] = this.#sockets;
    if (oldest !== undefined && (this.#sockets.size >= socketsMax || this.#random.chance(45))) {
      this.#sockets.delete(oldest);
      if (this.#random.chance(50)) oldest.ws.close();
      await oldest[Symbol.asyncDispose]();
      return;
    }
    const { url, token } = this.#gateway;
    const socket = await Socket.open(url, this.#random.chance(90) ? { token } : {});
    this.#sockets.add(socket);
    if (this.#random.chance(30)) socket.call("session.open", { leaseMs: 500 }).catch(() => {}); // a front may go first
  }

  async #stepMcp(): Promise<void> {
    const [oldest] = this.#mcp;
    if (oldest !== undefined && (this.#mcp.size >= mcpMax || this.#random.chance(45))) {
      this.#mcp.delete(oldest);
      if (this.#random.chance(50)) await oldest.delete().catch(() => {}); // its session may be over
      oldest.vanish();
      return;
    }
    const client = this.#gateway.mcp("polite");
    await client.initialize();
    this.#mcp.add(client);
  }

  #startFault(): void {
    this.done.faults++;
    const fault = this.#random.pick(faults);
    const { url, token } = this.#gateway;
    const play = async () => {
      const { clean } = await fault.start({ url, token, limits: connections });
      await delay(fault.deadlineMs(connections) + 1000);
      await clean();
    };
    const playing: Promise<void> = play()
      .catch(() => {}) // the front was replaced under it
      .finally(() => this.#faults.delete(playing));
    this.#faults.add(playing);
  }

  async #replaceFront(how: "restart" | "kill"): Promise<void> {
    const { front } = this.#gateway.pids;
    if (how === "restart") {
      this.done.restarts++;
      await this.#gateway.rpc("gateway.restart");
    } else {
      this.done.kills++;
      process.kill(front, "SIGKILL");
    }
    await this.#gateway.renewed({ front });
  }

  /** Nothing new begins; resolves with the counts once they agree, or as they are when they do not in time. */
  async look(): Promise<{ counts: Counts; agrees: boolean }> {
    await Promise.all(this.#faults);
    const began = performance.now();
    for (;;) {
      const counts = await this.#count();
      const {
        connections: [said, kernel],
        processes: [listed, marked],
      } = counts;
      const agrees = said === kernel && listed === marked && counts.descriptors >= kernel;
      if (agrees || performance.now() - began > settleMsMax) return { counts, agrees };
      await delay(200);
    }
  }

  async #count(): Promise<Counts> {
    const { url, token, pids } = this.#gateway;
    const rpc = new GatewayClient({ state: this.#home.stateDir });
    const runs = await rpc.call("run.list", {});
    const listed = runs.reduce((sum, { processes }) => sum + processes.length, 0);
    const { length: sessions } = await rpc.call("session.list", {});
    const headers = { authorization: `Bearer ${token}`, connection: "close" };
    const { text } = await exchange(`${url}/metrics`, { headers });
    const states = [...text.matchAll(/^holdfast_connections\{state="[a-z]+"\} (\d+)/gm)];
    const said = states.reduce((sum, [, count]) => sum + Number(count), 0);
    // The connection that asked was one of them and is gone; the kernel's answer is of a moment later.
    const held = socketsOf(Number(new URL(url).port)).filter((one) => one.held).length;
    // Each run on the cgroup tier has a small parent of ours, which carries its mark and is no process of it.
    const marked = this.#home.marked().filter((pid) => argumentsOf(pid)[0]?.endsWith("/bin/cgroup-launcher") !== true);
    return {
      connections: [said - 1, held],
      processes: [listed, marked.length],
      sessions,
      descriptors: socketDescriptors(pids.front),
    };
  }

  async end(): Promise<void> {
    await Promise.all(this.#faults);
    for (const socket of this.#sockets) await socket[Symbol.asyncDispose]();
    for (const client of this.#mcp) client.vanish();
  }
}

async function main(minutes: number, seed: number): Promise<boolean> {
  const polite = { command: process.execPath, args: [fixture("polite-server.ts")] };
  const config = { bind: ["127.0.0.1"], connections, mcpServers: { polite }, limits: { frontRestartsMax: 1000 } };
  await using home = new Home(bestTier(), config);
  await using gateway = await Gateway.start(home);
  const soak = new Soak(seed, home, gateway);
  console.log(`soak of ${minutes} min, seed ${seed}\n${machineLine()}\n`);
  console.log(
    "    s  steps  faults  restarts  kills  sessions  connections said/kernel  processes said/marked  front MB  keeper MB",
  );
  const began = performance.now();
  try {
    while (performance.now() - began < minutes * 60_000) {
      const until = performance.now() + lookMs;
      while (performance.now() < until) await soak.step();
      const { counts, agrees } = await soak.look();
      const { steps, faults: played, restarts, kills } = soak.done;
      const megabytes = (pid: number) => (residentBytes(pid) / 1024 / 1024).toFixed(0);
      const cells: [string | number, number][] = [
        [Math.round((performance.now() - began) / 1000), 5],
        [steps, 7],
        [played, 8],
        [restarts, 10],
        [kills, 7],
        [counts.sessions, 10],
        [counts.connections.join("/"), 25],
        [counts.processes.join("/"), 23],
        [megabytes(gateway.pids.front), 10],
        [megabytes(gateway.pids.keeper), 11],
      ];
      console.log(cells.map(([cell, width]) => String(cell).padStart(width)).join(""));
      if (agrees) continue;
      console.log(`DISAGREEMENT with the operating system; again with --seed ${seed}`);
      return false;
    }
    return true;
  } finally {
    await soak.end();
  }
}

const { values } = parseArgs({ options: { minutes: { type: "string" }, seed: { type: "string" } } });
const held = await main(Number(values.minutes ?? 5), Number(values.seed ?? Date.now() % 1_000_000));
process.exitCode = held ? 0 : 1;
