/** One simulated machine with a keeper on it: the product's keeper and fronts, each life an object graph of its own. */
import { closeSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../../src/config/schema.ts";
import type { KeeperEnd, KeeperOptions } from "../../src/keeper/keeper-life.ts";
import { Keeper } from "../../src/keeper/keeper.ts";
import { LiveConfig } from "../../src/keeper/live-config.ts";
import { SimulatedPlatform } from "../../src/platform/simulated/platform.ts";
import type { FrontPlace } from "../../src/platform/simulated/front-place.ts";
import { Machine } from "../../src/platform/simulated/machine.ts";
import type { Process } from "../../src/platform/simulated/process.ts";
import type { Simulation } from "../../src/platform/simulated/simulation.ts";
import { KeeperLink } from "../../src/protocol/keeper/link.ts";
import { Disk } from "./disk.ts";

/** One life of the keeper. */
export interface Life {
  readonly platform: SimulatedPlatform;
  readonly keeper: Keeper;
  /** Resolves with its end; rejects when it could not start. */
  readonly over: Promise<KeeperEnd>;
  /** Whether a front of it has listened. */
  hasServed: boolean;
}

export abstract class Host {
  readonly machine: Machine;
  readonly disk = new Disk();
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-simulation-"));
  life: Life | undefined;
  /** What went wrong in an orderly end. */
  readonly defects: string[] = [];
  /** The kernel's processes of the fronts that have been started. */
  readonly fronts: FrontPlace[] = [];
  protected readonly simulation: Simulation;

  constructor(simulation: Simulation, proof: "kernel" | "scan") {
    this.simulation = simulation;
    this.machine = new Machine(simulation, { proof, pidMax: 400 });
    this.machine.frontCode = (place) => void this.#runFront(place);
  }

  /** For reports. */
  abstract readonly name: string;

  protected abstract readConfig(): Config;
  protected abstract role(): Pick<KeeperOptions, "node">;
  /** Runs the code of a front. */
  protected abstract serve(place: FrontPlace, link: KeeperLink): Promise<void>;

  get front(): FrontPlace | undefined {
    return this.fronts.findLast(({ own }) => own.isAlive);
  }

  /** Whether the code of its keeper can run now. */
  get canAct(): boolean {
    const own = this.life?.platform.own;
    return own?.isAlive === true && !own.isStopped && !this.machine.time.isSuspended;
  }

  /** Processes that the keeper has started for others, alive. */
  get servants(): Process[] {
    return this.machine.kernel.processes.filter(({ isAlive, origin }) => isAlive && origin !== "");
  }

  /** Those without an open run on record. */
  get strangers(): Process[] {
    const rows = this.disk.rows("ledger.sqlite", "select id from runs where state <> 'exited'");
    const open = new Set(rows.map(({ id }) => String(id)));
    return this.servants.filter(({ origin }) => !open.has(origin));
  }

  /** Begins a life of the keeper, which may be refused. */
  start(): Life {
    const platform = SimulatedPlatform.start(this.machine, "keeper");
    const { own } = platform;
    try {
      return this.#begin(platform);
    } catch (thrown) {
      // A refused start ends its process.
      if (own.isAlive) this.machine.kernel.end(own, { code: 1, signal: null });
      throw thrown;
    }
  }

  #begin(platform: SimulatedPlatform): Life {
    const { own, clock } = platform;
    const keeper = new Keeper({
      sources: {
        clock,
        random: this.simulation.random,
        platform,
        process: {
          pid: own.pid,
          rssBytes: () => 0,
          usage: () => undefined,
          hold: () => ({ [Symbol.dispose]() {} }),
          recordLastWords: () => ({
            failed: (thrown) => void this.defects.push(String(thrown)),
            [Symbol.dispose]() {},
          }),
        },
        openDatabase: (path) => this.disk.open(path, own),
      },
      state: this.directory,
      live: new LiveConfig(() => ({ file: undefined, config: this.readConfig() })),
      ...this.role(),
      onListening: () => (life.hasServed = true),
    });
    const over = keeper.start().then(() => keeper.ended);
    const life: Life = { platform, keeper, over, hasServed: false };
    this.life = life;
    // An orderly end is the end of the process.
    const exit = () => {
      if (own.isAlive) this.machine.kernel.end(own, { code: 0, signal: null });
    };
    over.then(exit, exit);
    return life;
  }

  remove(): void {
    this.disk.close();
    this.#closeFiles();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Those that crashed processes had open. */
  #closeFiles(): void {
    for (const name of readdirSync("/proc/self/fd")) {
      try {
        if (readlinkSync(`/proc/self/fd/${name}`).startsWith(this.directory)) closeSync(Number(name));
      } catch {
        // closed meanwhile
      }
    }
  }

  async #runFront(place: FrontPlace): Promise<void> {
    this.fronts.push(place);
    const clock = this.simulation.clock(place.own);
    await this.serve(place, await KeeperLink.open(place, clock, () => place.exit(1)));
  }
}
