/** What the code of a front on a simulated machine gets: its process, and its ends of the channel to its keeper. */
import type { Duplex } from "node:stream";
import type { FrontRequest } from "../types.ts";
import type { Process } from "./process.ts";

export interface FrontPlace {
  readonly own: Process;
  readonly request: FrontRequest;
  readonly data: Duplex;
  onMessage: (hear: (message: unknown) => void) => void;
  send: (message: object, onSent: () => void) => void;
  onLost: (lost: () => void) => void;
  exit: (code: number) => void;
}

/** Starts the code of a front. */
export type FrontCode = (place: FrontPlace) => void;
