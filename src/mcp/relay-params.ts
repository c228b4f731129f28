/** What a relay is made of, and whom it tells. */
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";

export interface RelayParams {
  server: string;
  frontEpoch: number;
  requestTimeoutMs: number;
  messageBytesMax: number;
  clock: Clock;
  log: Log;
  /** A task began whose progress token must be known as long as the run lives. */
  onToken: () => void;
}
