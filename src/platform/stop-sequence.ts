/** The one way to end a run: end stdin, SIGTERM, kill to empty. Every wait is bounded, and a second request shortens it. */
import type { Clock } from "../clock.ts";
import type { Container, ProcessInfo } from "./types.ts";
import { untilTrue } from "./wait.ts";

export interface StopGraces {
  stdinGraceMs: number;
  termGraceMs: number;
}

export interface StopParts {
  container: Container;
  graces: StopGraces;
  clock: Clock;
  /** Ends the input of the command. */
  endStdin: () => void;
  hasMainEnded: () => boolean;
}

/** Time for the kernel to end a killed tree; a process in D state can outlast any bound. */
const killBoundMs = 10_000;

export class StopSequence {
  readonly #parts: StopParts;
  #hurried = false;

  constructor(parts: StopParts) {
    this.#parts = parts;
  }

  /** Skips the remaining graces. */
  hurry(): void {
    this.#hurried = true;
  }

  /** Resolves with the survivors; an empty list is the proof. */
  async run(): Promise<ProcessInfo[]> {
    const { container, graces, clock, endStdin, hasMainEnded } = this.#parts;
    endStdin();
    const empty = () => container.looksEmpty();
    // Without its main process a tree cannot notice the end of stdin: skip the stdin grace.
    await untilTrue(() => empty() || hasMainEnded() || this.#hurried, graces.stdinGraceMs, clock);
    if (!empty() && !this.#hurried) {
      // What cannot be asked need not be waited for.
      if (container.ask("terminate")) await untilTrue(() => empty() || this.#hurried, graces.termGraceMs, clock);
    }
    return container.end(killBoundMs);
  }
}
