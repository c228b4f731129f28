/**
 * A gateway in a simulated world, with somebody who keeps it running, clients that use it, and a watch over what must hold
 * at every moment. A broken promise ends the simulation with what had happened until then.
 */
import { markerVariable } from "../../src/platform/marker.ts";
import type { Process, Program } from "../../src/platform/simulated/process.ts";
import { Simulation } from "../../src/platform/simulated/simulation.ts";
import { SimulatedClient } from "./client.ts";
import type { Host } from "./host.ts";
import { Keeping } from "./keeping.ts";
import { Network } from "./network.ts";
import { NodeHost } from "./node-host.ts";
import { daemon, deaf, mcpServer, repeat, stuck, worker } from "./programs.ts";
import { richServer } from "./rich-server.ts";
import { scripted } from "./scripted.ts";
import { Site } from "./site.ts";

/** Longest that an end may take, besides its graces: what is left after that is a leak. */
export const endBoundMs = 30_000;
/** How often it is looked at who lives. */
const lookMs = 500;
/** After a power failure a peer hears nothing until it asks, or until something answers for the address again. */
const peersLearnMs = 15_000;
const notesMax = 400;

export class BrokenPromise extends Error {}

export interface WorldOptions {
  readonly seed: number;
  readonly proof?: "kernel" | "scan";
  readonly config?: object;
  /** With a second machine, a node of the gateway. */
  readonly node?: boolean | undefined;
}

/** What a gateway is configured with by default. */
export const gatewayConfig = {
  exec: { enabled: true },
  stop: { stdinGraceMs: 2000, termGraceMs: 3000 },
  mcpServers: { echo: { command: "mcp" }, deaf: { command: "deaf-mcp" }, pooled: { command: "mcp", share: "pool" } },
};

export class World {
  readonly simulation: Simulation;
  readonly network: Network;
  readonly site: Site;
  readonly node: NodeHost | undefined;
  readonly hosts: readonly Host[];
  readonly notes: string[] = [];
  /** How often the command of a request was started, by the request's mark. */
  readonly births = new Map<string, number>();
  /** Pause before a keeper that is gone is started again; undefined: as the seed draws it. */
  pauseMs: number | undefined;
  /** Whether the commands `stuck` are in the kernel, where no signal ends them. */
  isStuck = false;
  readonly #keeping = new Map<Host, Keeping>();
  #broken: BrokenPromise | undefined;
  #onBroken: (broken: BrokenPromise) => void = () => {};
  #isOver = false;

  constructor({ seed, proof, config: more = {}, node = false }: WorldOptions) {
    this.simulation = new Simulation(seed);
    const { random } = this.simulation;
    this.network = new Network(this.simulation);
    const drawn = random.chance(0.5) ? ("kernel" as const) : ("scan" as const);
    this.site = new Site(this.simulation, this.network, {
      proof: proof ?? drawn,
      config: { ...gatewayConfig, ...more },
    });
    if (node) this.node = this.#makeNode(proof ?? (random.chance(0.5) ? "kernel" : "scan"));
    this.hosts = this.node === undefined ? [this.site] : [this.site, this.node];
    for (const host of this.hosts) {
      this.#keeping.set(host, new Keeping(host, this));
      this.#install(host);
      host.disk.onWrite = (moment, owner, sql) => {
        if (moment === "after") this.#wrote(host, sql);
        this.onWrite(moment, owner, host);
      };
    }
  }

  #makeNode(proof: "kernel" | "scan"): NodeHost {
    return new NodeHost(this.simulation, this.network, { proof, config: { stop: gatewayConfig.stop } });
  }

  /** For faults around writes. */
  onWrite: (moment: "before" | "after", owner: Process, host: Host) => void = () => {};

  get clock() {
    return this.simulation.clock();
  }

  /** Of those who watch: they sleep while the gateway's machine does. */
  get #ownClock() {
    return this.simulation.clock({ isAlive: true, isStopped: false, time: this.site.machine.time });
  }

  note(text: string): void {
    this.notes.push(`${this.simulation.nowMs.toFixed(1)} ${text}`);
    if (this.notes.length >= 2 * notesMax) this.notes.splice(0, notesMax);
  }

  fail(promise: string): void {
    this.#broken ??= new BrokenPromise(promise);
    this.#onBroken(this.#broken);
  }

  /** Begins to keep gateway and node running. */
  begin(): void {
    for (const keeping of this.#keeping.values()) keeping.begin();
    void this.#watch();
  }

  /** Plays until `work` is done; throws what was broken meanwhile. */
  async play<T>(work: Promise<T>, boundMs: number): Promise<T> {
    const stop = new Promise<never>((_, reject) => (this.#onBroken = reject));
    const played = await this.simulation.run(Promise.race([work, stop]), boundMs);
    if (this.#broken !== undefined) throw this.#broken;
    return played;
  }

  async until(what: string, look: () => boolean, boundMs: number): Promise<void> {
    const end = this.simulation.nowMs + boundMs;
    while (!look()) {
      if (this.simulation.nowMs >= end) throw new BrokenPromise(`not within ${boundMs} ms: ${what}`);
      await this.clock.sleep(20);
    }
  }

  get isServing(): boolean {
    return this.site.life?.platform.own.isAlive === true && this.network.isListening(this.site.port);
  }

  client(token = this.site.token): SimulatedClient {
    return new SimulatedClient(this.network, this.site.port, token);
  }

  /** Processes that a gateway has started for others, alive. */
  get servants(): Process[] {
    return this.site.servants;
  }

  /** Those without an open run on record, of gateway or node. */
  get strangers(): Process[] {
    return this.hosts.flatMap((host) => host.strangers);
  }

  /** Stops everything for good and looks whether anything is left. */
  async end(): Promise<void> {
    await this.stop(this.site);
    if (this.node !== undefined) await this.stop(this.node);
    this.#isOver = true;
  }

  /** One that is killed while it stops is started once more, as it would be after a boot, and stopped. */
  async stop(host: Host): Promise<void> {
    const keeping = this.#keeping.get(host)!;
    for (let isOrderly = false; !isOrderly;) {
      await this.until(`${host.name} serves`, () => this.#isUp(host), 2 * endBoundMs);
      isOrderly = await keeping.stop((look) => this.until(`${host.name} has stopped`, look, 2 * endBoundMs));
      if (!isOrderly) keeping.begin();
    }
    const { kernel } = host.machine;
    const others = () => kernel.processes.filter((process) => process !== kernel.init && process.isAlive);
    await this.until(`nothing is left of it`, () => others().length === 0, endBoundMs).catch(() => {
      throw new BrokenPromise(`left after a stop of ${host.name}: ${others().map(describe).join(", ")}`);
    });
    const fences = kernel.fences("/holdfast");
    if (fences.length > 0) throw new BrokenPromise(`fences left: ${fences.map(({ name }) => name).join(", ")}`);
  }

  #isUp(host: Host): boolean {
    return host === this.site ? this.isServing : host.front !== undefined;
  }

  remove(): void {
    this.#isOver = true;
    for (const host of this.hosts) host.remove();
  }

  /** What a failure needs for its report. */
  report(): string {
    const processes = this.hosts.flatMap(({ name, machine }) => [name, ...machine.kernel.processes.map(describe)]);
    return [`seed ${this.simulation.seed}`, ...this.notes.slice(-60), ...processes].join("\n");
  }

  /** The machine loses its power and boots again; its peers learn that later. */
  reboot(host: Host = this.site): void {
    this.#keeping.get(host)?.reboot();
    this.clock.after(peersLearnMs, () => this.network.resetOfTheDead());
  }

  // ── what must hold at every moment ──

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      await this.#ownClock.sleep(lookMs);
      for (const { machine, defects } of this.hosts) {
        const [defect] = defects;
        if (defect !== undefined) this.fail(`an orderly end failed: ${defect}`);
        const { processes } = machine.kernel;
        const fronts = processes.filter(({ command, isAlive, parent }) => {
          return command === "front" && isAlive && parent?.isAlive === true && parent.command === "keeper";
        });
        if (fronts.length > 1) this.fail(`${fronts.length} fronts of a live keeper`);
        const keepers = processes.filter(({ command, isAlive }) => command === "keeper" && isAlive);
        if (keepers.length > 1) this.fail(`${keepers.length} keepers`);
      }
      const unstored = this.site.events.find(({ event }) => event === "session.store_failed");
      if (unstored !== undefined && !this.site.disk.wasFull)
        this.fail(`sessions are not stored: ${JSON.stringify(unstored.fields)}`);
    }
  }

  /** A row may say `exited` only when nothing of its run lives, and must say why it ended. */
  #wrote({ disk, servants }: Host, sql: string): void {
    if (!/^\s*update runs\b/i.test(sql)) return;
    const [unexplained] = disk.rows(
      "ledger.sqlite",
      "select id from runs where state = 'exited' and end_reason is null",
    );
    if (unexplained !== undefined) this.fail(`the record of ${String(unexplained["id"])} does not say why it ended`);
    for (const process of servants) {
      const [row] = disk.rows("ledger.sqlite", "select state from runs where id = ?", process.origin);
      if (row?.["state"] === "exited") this.fail(`${process.origin} is on record as exited: ${describe(process)}`);
    }
  }

  // ── programs ──

  #install({ machine: { programs } }: Host): void {
    programs.set("mcp", () => this.#marked(mcpServer({ children: 1 })));
    programs.set("deaf-mcp", () => this.#marked(mcpServer({ children: 2, isDeaf: true })));
    programs.set("rich-mcp", ([name = ""]) => this.#marked(richServer(name)));
    // A node looks for the file of a command, which must be a real one.
    programs.set("/bin/cat", () => this.#marked(mcpServer({ children: 1 })));
    programs.set("/bin/sh", ([, line = ""]) => {
      const [name = "", mark = "", script = ""] = line.split(" ");
      const lasting = {
        daemon,
        deaf,
        repeat,
        stuck: stuck(() => this.isStuck),
        scripted: scripted(script),
        rich: richServer(mark),
      }[name];
      const program = this.#marked(lasting ?? worker(Number(name)));
      return (self) => {
        this.births.set(mark, (this.births.get(mark) ?? 0) + 1);
        return program(self);
      };
    });
  }

  /** Remembers whose it is, whatever becomes of it, independent of the tested code. */
  #marked(program: Program): Program {
    return function marked(self) {
      const marker = self.environment.split("\0").find((entry) => entry.startsWith(`${markerVariable}=`)) ?? "";
      self.origin = marker.split("/").at(-1) ?? "";
      return program(self);
    };
  }
}

function describe({ pid, command, origin, isAlive, isStopped, isUninterruptible, parent }: Process): string {
  const state = isAlive ? (isUninterruptible ? "D" : isStopped ? "T" : "S") : "Z";
  return `${pid}:${command}(${state}, of ${parent?.pid ?? 0}${origin === "" ? "" : `, ${origin}`})`;
}
