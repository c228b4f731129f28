/**
 * `npm run soak -- [--hours H | --minutes M] [--seed N] [--pause MS] [--json]`: mixed load on a real gateway and a node that
 * comes and goes; every 10 s what Holdfast says is compared with what the operating system says. A disagreement that is still
 * there at one further look ends it with both sides and exit code 1. SIGUSR2 prints the table so far.
 */
import { parseArgs } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { configSchema } from "../src/config/schema.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { until } from "../test/helpers/until.ts";
import { Random } from "../test/mcp/helpers/random.ts";
import { treeOf } from "./machine.ts";
import { Commands } from "./soak/commands.ts";
import { compare, type Comparison } from "./soak/compare.ts";
import { descriptorsOf, memoryOf } from "./soak/kernel.ts";
import { HttpClients, StatelessClients, StdioClients } from "./soak/mcp-clients.ts";
import { ComingNode, nodeName } from "./soak/node.ts";
import type { Part, Place } from "./soak/part.ts";
import { Report, type Rest } from "./soak/report.ts";
import { Faults, Sockets } from "./soak/sockets.ts";
import { soakConfig, Upheavals } from "./soak/upheavals.ts";

const lookMs = 10_000;
/** From one look at a disagreement to the next one. */
const againMs = 250;
/** How often all load is taken away, in looks. */
const restEvery = 18;
const restBoundMs = 60_000;
/** Once all load is gone: caches and heaps differ from front to front, a leak grows with every round. */
const slack = { processes: 0, descriptors: 4, bytes: 96 * 1024 * 1024 };
const connections = {
  ...configSchema.parse({}).connections,
  headMs: 2000,
  authMs: 2000,
  idleMs: 2000,
  heartbeatMs: 1000,
  heartbeatGraceMs: 1000,
  slowMs: 1500,
  closingMs: 500,
};

interface Weighted {
  name: string;
  part: Part;
  /** Share of the steps, in per mille. */
  share: number;
}

class Soak implements AsyncDisposable {
  readonly report = new Report();
  readonly #place: Place;
  readonly #node: ComingNode;
  readonly #parts: Weighted[];
  readonly #pauseMs: number;

  constructor(place: Place, pauseMs: number) {
    this.#place = place;
    this.#pauseMs = pauseMs;
    this.#node = new ComingNode(place, { stop: { stdinGraceMs: 200, termGraceMs: 300 } });
    const onNode = () => (this.#node.pids === undefined ? "local" : nodeName);
    this.#parts = [
      { name: "sockets", part: new Sockets(place), share: 560 },
      { name: "faults", part: new Faults(place, connections), share: 50 },
      { name: "MCP over HTTP", part: new HttpClients(place), share: 110 },
      { name: "MCP over stdio", part: new StdioClients(place), share: 25 },
      { name: "MCP without sessions", part: new StatelessClients(place), share: 70 },
      { name: "commands", part: new Commands(place, () => "local"), share: 130 },
      { name: "commands on the node", part: new Commands(place, onNode), share: 35 },
      { name: "node", part: this.#node, share: 10 },
      { name: "gateway", part: new Upheavals(place, connections), share: 10 },
    ];
  }

  async begin(): Promise<void> {
    await this.#node.come();
  }

  async step(): Promise<void> {
    const { random } = this.#place;
    let draw = random.int(this.#parts.reduce((sum, { share }) => sum + share, 0));
    const chosen = this.#parts.find(({ share }) => (draw -= share) < 0);
    // One call that fails is told in the end, and ends nothing: the comparison goes on.
    await chosen?.part.step().catch((thrown: unknown) => {
      const failure = `${this.report.minutes.toFixed(1)} min, ${chosen.name}: ${String(thrown)}`;
      this.report.failures.push(failure);
      process.stderr.write(`${failure}\n`);
    });
    await delay(random.int(2 * this.#pauseMs));
  }

  /** Nothing new begins meanwhile. Resolves with whether both sides agree, at once or at one further look. */
  async look(): Promise<boolean> {
    for (const { part } of this.#parts) await part.settle?.();
    const began = performance.now();
    const settledMs = new Map<string, number>();
    for (;;) {
      const found = await compare(this.#place.gateway, this.#node);
      const apart = found.filter(({ agrees }) => !agrees);
      const ms = performance.now() - began;
      if (apart.length === 0 || ms > lookMs) {
        this.report.note(found, settledMs);
        this.report.disagreement = apart;
        this.#count();
        return apart.length === 0;
      }
      for (const { what } of apart) settledMs.set(what, Math.round(ms) + againMs);
      await delay(againMs);
    }
  }

  #count(): void {
    this.report.done = Object.fromEntries(this.#parts.map(({ name, part }) => [name, part.done]));
    this.report.connections = this.#parts.reduce((sum, { part }) => sum + (part.done["connections"] ?? 0), 0);
  }

  /** Takes all load away, and compares what is left with what was left the first time. */
  async rest(): Promise<boolean> {
    const { gateway } = this.#place;
    for (const { part } of this.#parts) await part.settle?.();
    for (const { part } of this.#parts) await part.rest();
    // Runs of an absent node stay on record until it returns and says how they ended.
    await this.#node.come();
    let left: unknown[] = [];
    const isEmpty = async () => {
      left = [await gateway.rpc("session.list"), await gateway.rpc("run.list")].flat();
      return left.length === 0;
    };
    await until("no session and no run", isEmpty, { boundMs: restBoundMs, everyMs: 100 }).catch((cause: unknown) => {
      throw new Error(`left without load: ${JSON.stringify(left)}`, { cause });
    });
    if (!(await this.look())) return false;
    const { keeper, front, guardian } = await this.#pids();
    const memory = memoryOf({ keeper, front, guardian });
    const rest: Rest = {
      processes: treeOf(keeper).length - 1,
      keeperDescriptors: descriptorsOf(keeper),
      frontDescriptors: descriptorsOf(front),
      guardianDescriptors: descriptorsOf(guardian),
      keeperBytes: memory.keeper,
      frontBytes: memory.front,
      guardianBytes: memory.guardian,
    };
    this.report.noteRest(rest);
    const [first = rest] = this.report.rests;
    this.report.disagreement = Object.entries(rest).flatMap(([name, now]): Comparison[] => {
      const then = first[name as keyof Rest];
      const bound = name.endsWith("Bytes") ? slack.bytes : name === "processes" ? slack.processes : slack.descriptors;
      if (now - then <= bound) return [];
      return [
        { what: `${name} without load`, said: `${then} at first`, kernel: String(now), agrees: false, count: now },
      ];
    });
    return this.report.disagreement.length === 0;
  }

  async #pids(): Promise<Record<"keeper" | "front" | "guardian", number>> {
    const status = (await this.#place.gateway.rpc("gateway.status")) as Record<
      "keeper" | "front" | "guardian",
      { pid: number }
    >;
    return { keeper: status.keeper.pid, front: status.front.pid, guardian: status.guardian.pid };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { part } of this.#parts) await part.settle?.();
    for (const { part } of this.#parts) await part.rest().catch(() => {}); // the gateway may be what failed
    await this.#node[Symbol.asyncDispose]();
  }
}

/** Ends in order when it is interrupted: what it held until then is told. */
function untilInterrupted(): () => boolean {
  let isInterrupted = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => (isInterrupted = true));
  return () => isInterrupted;
}

async function play(soak: Soak, minutes: number): Promise<boolean> {
  const { report } = soak;
  const isInterrupted = untilInterrupted();
  process.on("SIGUSR2", () => report.print());
  await soak.begin();
  let held = await soak.rest();
  for (let looks = 1; held && report.minutes < minutes && !isInterrupted(); looks++) {
    const end = performance.now() + lookMs;
    while (performance.now() < end) await soak.step();
    held = looks % restEvery === 0 ? await soak.rest() : await soak.look();
    process.stderr.write(`${report.minutes.toFixed(1)} min: ${report.connections} connections\n`);
  }
  return held && (await soak.rest()) && report.failures.length === 0;
}

async function main({ minutes, seed, pauseMs, isJson }: Wish): Promise<boolean> {
  await using home = new Home(bestTier(), soakConfig(connections, 0));
  await using gateway = await Gateway.start(home);
  await using soak = new Soak({ home, gateway, random: new Random(seed) }, pauseMs);
  process.stderr.write(`soak of ${minutes} min, seed ${seed}\n`);
  let problem: unknown;
  const held = await play(soak, minutes).catch((thrown: unknown) => {
    problem = thrown;
    return false;
  });
  const { report } = soak;
  if (isJson) console.log(JSON.stringify({ seed, held, ...report.toJSON() }));
  else report.print();
  for (const { what, said, kernel } of report.disagreement)
    process.stderr.write(`${what}\n  Holdfast says:   ${said}\n  the system says: ${kernel}\n`);
  if (problem !== undefined) console.error(problem);
  if (!held) process.stderr.write(`again with --seed ${seed}\n`);
  return held;
}

interface Wish {
  minutes: number;
  seed: number;
  pauseMs: number;
  isJson: boolean;
}

const { values } = parseArgs({
  options: {
    hours: { type: "string" },
    minutes: { type: "string" },
    seed: { type: "string" },
    pause: { type: "string" },
    json: { type: "boolean" },
  },
});
const { hours, minutes = "5", seed = Date.now() % 1_000_000, pause = "60", json = false } = values;
const held = await main({
  minutes: hours === undefined ? Number(minutes) : Number(hours) * 60,
  seed: Number(seed),
  pauseMs: Number(pause),
  isJson: json,
});
process.exitCode = held ? 0 : 1;
