/** A piece of a run's output, and where it is in all that was printed. */
import type { RunView } from "../protocol/keeper/messages.ts";

/** A piece of output; `nextOffset` is where to go on. */
export interface OutputPlace {
  run: RunView;
  offset: number;
  nextOffset: number;
  printed: number;
}

export interface OutputPiece extends OutputPlace {
  bytes: Buffer;
}
