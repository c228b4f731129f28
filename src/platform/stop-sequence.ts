/** The one way to end a run: end stdin, SIGTERM, kill to empty. Every wait is bounded, and a second request shortens it. */
import type { Container, ProcessInfo } from "./types.ts";
import { untilTrue } from "./wait.ts";

export interface StopGraces {
  stdinGraceMs: number;
  termGraceMs: number;
}

/** Time for the kernel to end a killed tree; a process in D state can outlast any bound. */
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

  /** Skips the remaining graces. */
  hurry(): void {
    this.#hurried = true;
  }

  /** Resolves with the survivors; an empty list is the proof. */
  async run(): Promise<ProcessInfo[]> {
    this.#endStdin();
    const empty = () => this.#container.looksEmpty();
    // Without its main process a tree cannot notice the end of stdin: skip the stdin grace.
    await untilTrue(() => empty() || this.#mainHasEnded() || this.#hurried, this.#graces.stdinGraceMs);
    if (!empty() && !this.#hurried) {
      this.#container.ask("terminate");
      await untilTrue(() => empty() || this.#hurried, this.#graces.termGraceMs);
    }
    return this.#container.end(killBoundMs);
  }
}
