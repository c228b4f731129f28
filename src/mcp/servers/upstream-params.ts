/** The parts and callbacks of an upstream. */
import type { EndReason } from "../../protocol/run.ts";
import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { Numbers } from "../wire/numbers.ts";

export interface UpstreamParams {
  server: string;
  /** Several sessions may have calls on it. */
  shared: boolean;
  /** Its one client started it: it also receives the server's pings and list changes. */
  passesAll?: boolean | undefined;
  /** Its clients declared capabilities for questions. */
  asksClients: boolean;
  requestTimeoutMs: number;
  messageBytesMax: number;
  numbers: Numbers;
  clock: Clock;
  log: Log;
  /** The server is gone; calls in flight have been answered. */
  onClosed: (outcome: string, reason: EndReason) => void;
  /** The last call in flight is done, or the first one begins. */
  onBusy: (busy: boolean) => void;
  /** One of the server's own lists changed. */
  onListChanged: (what: string) => void;
  /** A task began; its progress token is kept for the server's lifetime. */
  onToken: () => void;
}
