/** The keeper's counters, for `status` and metrics. Computed on request, except for one count per ended run. */
import type { SupervisorState } from "./supervisor.ts";
import type { LifecycleEvent } from "../events.ts";
import { version } from "../version.ts";
import type { FrontSupervisor } from "./front.ts";
import type { Guardian } from "./guardian.ts";
import type { CrashRecords } from "./crashes.ts";
import type { KeeperFigures, KeeperStatus } from "../protocol/keeper/status.ts";
import type { KeeperSources } from "./own-process.ts";
import type { RunTable } from "./run-table.ts";

/** Crashes in `status`; `holdfast crashes` lists all. */
const crashesShown = 20;

export interface FigureParts {
  sources: KeeperSources;
  table: RunTable;
  front: FrontSupervisor;
  guardian: Guardian;
  crashes: CrashRecords;
}

export class Figures {
  readonly #parts: FigureParts;
  readonly #startedAt: number;
  readonly #ends = new Map<string, number>();

  constructor(parts: FigureParts, startedAt: number) {
    this.#parts = parts;
    this.#startedAt = startedAt;
  }

  count({ name, data }: LifecycleEvent): void {
    if (name !== "run.ended") return;
    const reason = data.endReason ?? "unknown";
    this.#ends.set(reason, (this.#ends.get(reason) ?? 0) + 1);
  }

  read(): KeeperFigures {
    const live = new Map<string, KeeperFigures["runs"][number]>();
    for (const { kind, state } of this.#parts.table.live()) {
      const key = `${kind} ${state}`;
      const entry = live.get(key) ?? { kind, state, count: 0 };
      entry.count++;
      live.set(key, entry);
    }
    return {
      runs: [...live.values()],
      ends: [...this.#ends].map(([reason, count]) => ({ reason, count })),
      lagMs: this.#parts.front.takeLagMs(),
      descriptors: this.#parts.sources.process.usage()?.descriptors ?? 0,
    };
  }

  /** States of front and guardian. */
  get helpers(): Record<"front" | "guardian", SupervisorState> {
    const { front, guardian } = this.#parts;
    return { front: front.state, guardian: guardian.state };
  }

  /** The parts of `status` that need no look at the system. */
  status(): Pick<KeeperStatus, "version" | "keeper" | "front" | "guardian" | "runs" | "crashes" | "startedAt"> {
    const { sources, front, guardian, crashes, table } = this.#parts;
    const seen = ({ pid, restarts, state, problem }: FrontSupervisor | Guardian): KeeperStatus["front"] => {
      return { pid, rssBytes: sources.platform.processes.read(pid)?.rssBytes ?? 0, restarts, state, problem };
    };
    return {
      version,
      keeper: { pid: sources.process.pid, rssBytes: sources.process.rssBytes() },
      front: seen(front),
      guardian: seen(guardian),
      runs: table.size,
      crashes: crashes.list(crashesShown),
      startedAt: this.#startedAt,
    };
  }
}
