/** Detects trees that keep growing, such as a worker that starts helpers and never ends them. */
import { turn, type Clock, type Timer } from "../../clock.ts";
import type { ProcessInfo, ProcessTable } from "../../platform/types.ts";

/** Interval between looks, in milliseconds. */
const everyMs = 5000;
/** A tree keeps growing if it grew in this many looks without shrinking much in between, and has this many processes. */
const looksMin = 3;
const processesMin = 8;
/** Trees examined before the event loop gets a turn. */
const sliceMax = 50;

interface Watched {
  id: string;
  members(): ProcessInfo[];
}

interface History {
  /** Most processes seen so far. */
  peak: number;
  /** Looks with a new maximum. */
  grew: number;
  /** Processes at the last report. */
  told: number;
}

export interface GrowthParts {
  clock: Clock;
  processes: ProcessTable;
  runs: () => Watched[];
  /** `what`: the most frequent command and its count. Reported again when the tree has doubled. */
  onGrowing: (id: string, what: string) => void;
}

export class GrowthWatch implements Disposable {
  readonly #parts: GrowthParts;
  readonly #histories = new Map<string, History>();
  readonly #timer: Timer;
  #looking = false;

  constructor(parts: GrowthParts, lookMs = everyMs) {
    this.#parts = parts;
    this.#timer = parts.clock.every(lookMs, () => void this.#look()); // never rejects
  }

  [Symbol.dispose](): void {
    this.#timer.clear();
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const runs = this.#parts.runs();
    const known = new Set(runs.map(({ id }) => id));
    for (const id of this.#histories.keys()) if (!known.has(id)) this.#histories.delete(id);
    for (const [index, run] of runs.entries()) {
      this.#weigh(run);
      if (index % sliceMax === sliceMax - 1) await turn(this.#parts.clock);
    }
    this.#looking = false;
  }

  #weigh(run: Watched): void {
    const members = run.members();
    const count = members.length;
    const history = this.#histories.get(run.id) ?? { peak: count, grew: 0, told: 0 };
    this.#histories.set(run.id, history);
    if (count > history.peak) {
      history.grew += 1;
      history.peak = count;
    } else if (count * 2 < history.peak) {
      Object.assign(history, { peak: count, grew: 0 });
    }
    if (history.grew < looksMin || count < processesMin || count < history.told * 2) return;
    history.told = count;
    this.#parts.onGrowing(run.id, describe(members, this.#parts.processes));
  }
}

function describe(members: ProcessInfo[], { command: commandOf }: ProcessTable): string {
  const copies = new Map<string, number>();
  for (const { pid } of members) {
    const command = commandOf(pid);
    copies.set(command, (copies.get(command) ?? 0) + 1);
  }
  const [command = "", count = 0] = [...copies].toSorted(([, one], [, other]) => other - one)[0] ?? [];
  const most = count > 1 ? `, ${count} of them ${command.slice(0, 80)}` : "";
  return `${members.length} processes${most}`;
}
