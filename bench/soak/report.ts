/** What a soak found, as one table for people or as JSON. */
import os from "node:os";
import { renderTable } from "../../test/helpers/table.ts";
import { machineLine, megabytes } from "../machine.ts";
import type { Comparison } from "./compare.ts";

/**
 * Opens and closes of the report on sockets in 24 hours. It shows four connections in TIME-WAIT, which its system keeps for
 * two minutes: 2,880 a day. The same gateway's densest client on record opens one every 10 s: 8,640, which is taken here.
 */
export const opensADay = 8640;

interface Line {
  looks: number;
  /** Looks that agreed only after a while. */
  late: number;
  settleMsMax: number;
  countMax: number;
}

/** What is left of a gateway when all load is gone. */
export interface Rest {
  processes: number;
  keeperDescriptors: number;
  frontDescriptors: number;
  guardianDescriptors: number;
  keeperBytes: number;
  frontBytes: number;
  guardianBytes: number;
}

export class Report {
  readonly #lines = new Map<string, Line>();
  readonly #rests: Rest[] = [];
  readonly #began = performance.now();
  readonly #loads: number[] = [];
  /** Both sides of what did not agree. */
  disagreement: Comparison[] = [];
  /** Steps that failed. */
  readonly failures: string[] = [];
  connections = 0;
  done: Record<string, Record<string, number>> = {};

  get minutes(): number {
    return (performance.now() - this.#began) / 60_000;
  }

  get rests(): readonly Rest[] {
    return this.#rests;
  }

  note(found: Comparison[], settledMs: ReadonlyMap<string, number>): void {
    this.#loads.push(os.loadavg()[0] ?? 0);
    for (const { what, count } of found) {
      const line = this.#lines.get(what) ?? { looks: 0, late: 0, settleMsMax: 0, countMax: 0 };
      const ms = settledMs.get(what) ?? 0;
      line.looks++;
      if (ms > 0) line.late++;
      line.settleMsMax = Math.max(line.settleMsMax, ms);
      line.countMax = Math.max(line.countMax, count);
      this.#lines.set(what, line);
    }
  }

  noteRest(rest: Rest): void {
    this.#rests.push(rest);
  }

  toJSON(): object {
    const { minutes, connections, done, disagreement, failures } = this;
    const compared = Object.fromEntries(this.#lines);
    const days = connections / opensADay;
    const load = this.#loads.toSorted((a, b) => a - b);
    return {
      machine: machineLine(),
      minutes: Number(minutes.toFixed(1)),
      load: { median: load[load.length >> 1], most: load.at(-1) },
      connections,
      reporterHours: Number((days * 24).toFixed(1)),
      done,
      compared,
      atRest: this.#rests,
      disagreement,
      failures,
    };
  }

  print(): void {
    const load = this.#loads.toSorted((a, b) => a - b);
    const middle = (load[load.length >> 1] ?? 0).toFixed(1);
    const hours = ((this.connections / opensADay) * 24).toFixed(1);
    console.log(
      `\nsoak, ${this.minutes.toFixed(1)} min, load ${middle} (most ${(load.at(-1) ?? 0).toFixed(1)})\n${machineLine()}\n`,
    );
    console.log(
      renderTable(
        ["said / system", "looks", "late", "longest s", "most"],
        [...this.#lines].map(([what, { looks, late, settleMsMax, countMax }]) => [
          what,
          looks,
          late,
          (settleMsMax / 1000).toFixed(1),
          /memory/.test(what) ? `${megabytes(countMax)} MB` : countMax,
        ]),
      ),
    );
    const [first, last] = [this.#rests[0], this.#rests.at(-1)];
    if (first !== undefined && last !== undefined) console.log(`\n${restTable(first, last)}`);
    const counts = Object.entries(this.done).map(([part, done]) => {
      const words = Object.entries(done).filter(([, count]) => count > 0);
      return `${part}: ${words.map(([word, count]) => `${count} ${inWords(word)}`).join(", ")}`;
    });
    console.log(`\n${this.connections} connections opened and closed: ${hours} h of the report (${opensADay} a day)`);
    console.log(counts.join("\n"));
    console.log(`failed steps: ${this.failures.length}`);
  }
}

function restTable(first: Rest, last: Rest): string {
  const row = (name: keyof Rest, label: string) => {
    const show = (rest: Rest) => (name.endsWith("Bytes") ? megabytes(rest[name]) : String(rest[name]));
    return [label, show(first), show(last)];
  };
  return renderTable(
    ["without load", "at first", "at last"],
    [
      row("processes", "processes below the keeper"),
      row("keeperDescriptors", "keeper's descriptors"),
      row("frontDescriptors", "front's descriptors"),
      row("guardianDescriptors", "guardian's descriptors"),
      row("keeperBytes", "keeper's memory, MB"),
      row("frontBytes", "front's memory, MB"),
      row("guardianBytes", "guardian's memory, MB"),
    ],
  );
}

/** `halfClosed` → `half closed`. */
function inWords(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
