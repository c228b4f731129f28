/** What is asked of the starter: one server, and for whom. */
import { HoldfastError } from "../../errors.ts";
import type { EndReason, FrontServer } from "../../protocol/keeper/messages.ts";
import type { Scope } from "../../ownership/scope.ts";
import type { Introduction } from "./handshake.ts";
import type { Client } from "./client.ts";
import type { Opening } from "./opening.ts";
import type { RunningServer } from "./running-server.ts";

export interface StartOrder {
  server: FrontServer;
  introduction: Introduction;
  /** Where its metadata is kept. */
  metadataKey: string;
  shared: boolean;
  /** The client and its server speak as if nobody stood between them. */
  passesAll: boolean;
  /** The client's own `initialize`, which brings the server up; otherwise it is addressed by us. */
  opening?: Opening | undefined;
  /** The one session that may be told things from the first moment on; a pool's sessions join later. */
  client?: Client;
  /** Owns the server's processes. */
  scope: Scope;
  /** Under this id the keeper writes the run down. */
  sessionId: string;
  onRun: (runId: string, alive: boolean) => void;
  /** One of its lists is another now. Resolves when they were learnt anew; never rejects. */
  onListChanged: (running: RunningServer) => Promise<void>;
  /** The server is gone: where everything passes also before it was up. */
  onClosed?: (outcome: string, reason: EndReason) => void;
}

export function gone(): HoldfastError {
  return new HoldfastError(
    "run_ended",
    "the session ended, or its server left the config, while the server was starting",
  );
}
