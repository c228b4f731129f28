/** macOS as the code of this directory uses it: what tests replace is given to its constructor. */
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../../clock.ts";
import type { Random } from "../../random.ts";
import type { System } from "../ending.ts";
import { MarkerScans } from "../marked.ts";
import type { MainExit, ProcessRef, SpawnRequest, Watchdog } from "../types.ts";
import { XnuProcesses } from "./processes.ts";
import { Rescans } from "./rescans.ts";
import type { Xnu } from "./xnu.ts";

/** A command that was started, or refused. */
export interface Started {
  /** 0 when the system refused it. */
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Rejects with `spawn_failed` when the system refused it. */
  readonly born: Promise<void>;
  /** Never rejects. Settles only when it was born. */
  readonly exit: Promise<MainExit>;
}

export interface DarwinSystem {
  /** First called when something is looked at. */
  readonly xnu: () => Xnu;
  readonly clock: Clock;
  readonly random: Random;
  /** PID_MAX of the system. */
  readonly pidMax: number;
  /** Starts a command as the leader of its own session, with this marker, in this turn. */
  readonly spawn: (request: SpawnRequest, marker: string) => Started;
  /** Starts the shell that ends everything whose marker begins so, when this process ends. */
  readonly startGuardian: (marker: string) => Watchdog;
}

export class Darwin implements System {
  readonly system: DarwinSystem;
  readonly clock: Clock;
  readonly processes: XnuProcesses;
  readonly rescans: Rescans;
  readonly markerScans: MarkerScans;

  constructor(system: DarwinSystem) {
    this.system = system;
    this.clock = system.clock;
    this.processes = new XnuProcesses(system.xnu);
    this.rescans = new Rescans(system.xnu, system.clock);
    this.markerScans = new MarkerScans(this);
  }

  get xnu(): Xnu {
    return this.system.xnu();
  }

  signal(ref: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): boolean {
    return this.processes.signal(ref, signal);
  }
}
