/** What an upstream is made of, and whom it tells. */
import type { Clock } from "../../clock.ts";
import type { EndReason } from "../../protocol/keeper/messages.ts";
import type { Log } from "../../log.ts";
import type { Numbers } from "../wire/numbers.ts";

export interface UpstreamParams {
  server: string;
  /** Several sessions may have calls on it. */
  shared: boolean;
  /** Its one client brought it up itself: it hears the server's pings and changed lists, too. */
  passesAll?: boolean | undefined;
  /** Its clients offered something that it may ask them for. */
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
  /** One of the server's own lists is another now. */
  onListChanged: (what: string) => void;
  /** A task began whose progress token must be known as long as the server lives. */
  onToken: () => void;
}
