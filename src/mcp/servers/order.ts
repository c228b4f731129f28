/** A request to the starter: one server, and its client. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { EndReason } from "../../protocol/run.ts";
import { HoldfastError } from "../../errors.ts";
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
  /** Everything passes unchanged between client and server. */
  passesAll: boolean;
  /** The client's own `initialize`, which starts the server; otherwise we initialize it. */
  opening?: Opening | undefined;
  /** The one session that receives messages from the start; sessions of a pool join later. */
  client?: Client;
  /** Owns the server's processes. */
  scope: Scope;
  /** The keeper records the run under this id. */
  sessionId: string;
  onRun: (runId: string, alive: boolean) => void;
  /** One of its lists changed. Resolves when they are fetched again; never rejects. */
  onListChanged: (running: RunningServer) => Promise<void>;
  /** The server is gone: for pass-through also before it was up. */
  onClosed?: (outcome: string, reason: EndReason) => void;
}

export function gone(): HoldfastError {
  return new HoldfastError(
    "run_ended",
    "the session ended, or its server left the config, while the server was starting",
  );
}
