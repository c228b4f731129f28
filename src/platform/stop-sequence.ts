/** The one way to end a run: end stdin, SIGTERM, kill to empty. Every wait is bounded, and a second request shortens it. */
import type { Container, ProcessInfo } from "./types.ts";
import { untilTrue } from "./wait.ts";

export interface StopGraces {
  stdinGraceMs: number;
  termGraceMs: number;
}

/** Time for the kernel to take a killed tree down; a process in D state can outlast any bound. */
const killBoundMs = 10_000;

export class StopSequence {
  readonly #container: Container;
  readonly #graces: StopGraces;
  readonly #endStdin: () => void;
  readonly #mainHasEnded: () => boolean;
  #hurried = false;

  constructor(container: Container, graces: StopGraces, endStdin: () => void, mainHasEnded: () => boolean) {
    this.#container = container;
    this.#graces = graces;
    this.#endStdin = endStdin;
    this.#mainHasEnded = mainHasEnded;
  }

  /** Skips what is left of the graces. */
  hurry(): void {
    this.#hurried = true;
  }

  /** Resolves with what could not be ended; empty is the proof. */
  async run(): Promise<ProcessInfo[]> {
    this.#endStdin();
    const empty = () => this.#container.looksEmpty();
    // A tree whose main process is gone cannot hear its stdin end: its stdin grace is over at once.
    await untilTrue(() => empty() || this.#mainHasEnded() || this.#hurried, this.#graces.stdinGraceMs);
    if (!empty() && !this.#hurried) {
      this.#container.ask("terminate");
      await untilTrue(() => empty() || this.#hurried, this.#graces.termGraceMs);
    }
    return this.#container.end(killBoundMs);
  }
}
