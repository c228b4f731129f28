/** Orderly shutdown of the front: stop accepting, answer calls, close streams and sockets. Each step is bounded. */
import type { SessionManager } from "../mcp/session/session-manager.ts";
import type { Nodes } from "../nodes/gateway/nodes.ts";
import type { RunService } from "../runs/service.ts";
import type { SessionSet } from "../sessions/set.ts";
import type { Connections } from "./connections/connections.ts";
import type { HttpFace } from "./server.ts";
import type { WebSocketEndpoint } from "./websocket/endpoint.ts";

/** Time for the keeper to end runs, so that each call learns how its server ended. The keeper waits 5 s in all. */
const runsBoundMs = 3500;
/** Time for clients to read their last answer. */
const socketsBoundMs = 500;
/** Time for WebSockets to answer the close frame; a new front cannot listen before. */
const restartBoundMs = 1000;

export interface DrainParts {
  face: HttpFace;
  connections: Connections;
  sessions: SessionSet;
  manager: SessionManager;
  nodes: Pick<Nodes, "endRuns" | "close">;
  runs: Pick<RunService, "close">;
  /** Undefined before listening. */
  webSockets: () => WebSocketEndpoint | undefined;
}

export class Drain {
  readonly #parts: DrainParts;
  #running: Promise<void> | undefined;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** Resolves when every connection is closed. Returns the same promise each time. */
  run(reason: string): Promise<void> {
    this.#running ??= this.#run(reason);
    return this.#running;
  }

  async #run(reason: string): Promise<void> {
    const { face, connections, sessions, manager, nodes, runs, webSockets } = this.#parts;
    const boundMs = reason === "restart" ? restartBoundMs : connections.limits.drainMs;
    face.drain();
    runs.close();
    manager.closeStreams(reason !== "restart");
    webSockets()?.drain(boundMs);
    // When only the front is replaced, the keeper ends runs later: nothing to wait for.
    if (reason !== "restart") await Promise.all([sessions.empty(runsBoundMs), nodes.endRuns(runsBoundMs)]);
    nodes.close();
    manager.failAll(reason === "restart" ? "the gateway's front is being restarted" : "the gateway is stopping");
    await connections.drained(socketsBoundMs);
    sessions.flush();
  }
}
