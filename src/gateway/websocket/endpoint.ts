/** `/ws`: accepts upgrades, serves the peers, and closes them at the end. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer, type ServerOptions } from "ws";
import type { Access } from "../access.ts";
import { connectionOf, type CloseReason } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import type { MethodDispatcher } from "../dispatch.ts";
import { deniedUpgrade, handshakeProblem, refuseUpgrade, subprotocol, type UpgradeRefusal } from "./handshake.ts";
import { newerOptions } from "./options.ts";
import { closeCodes, WebSocketPeer } from "./peer.ts";

/** Longest message, as for `POST /rpc`. */
const messageBytesMax = 1024 * 1024;

export interface WebSocketParts {
  connections: Connections;
  access: Access;
  dispatcher: MethodDispatcher;
}

export class WebSocketEndpoint {
  readonly #parts: WebSocketParts;
  readonly #server: WebSocketServer;
  readonly #peers = new Set<WebSocketPeer>();

  constructor(parts: WebSocketParts) {
    this.#parts = parts;
    const options: ServerOptions = {
      noServer: true,
      clientTracking: false,
      // 200 KB per connection.
      perMessageDeflate: false,
      maxPayload: messageBytesMax,
      ...newerOptions(parts.connections.limits),
      handleProtocols: () => subprotocol,
    };
    this.#server = new WebSocketServer(options);
  }

  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { access, connections } = this.#parts;
    const denied = access.screen(request);
    if (denied !== undefined) return this.#refuse(stream, "unauthorized", deniedUpgrade(denied));
    const problem = handshakeProblem(request);
    if (problem !== undefined) return this.#refuse(stream, "bad-request", problem);
    const grant = request.headers.authorization === undefined ? undefined : access.authorize(request);
    if (grant !== undefined && "status" in grant) return this.#refuse(stream, "unauthorized", deniedUpgrade(grant));
    const connection = connectionOf(stream as Socket);
    if (connection === undefined || connection.state === "closing" || connection.state === "closed") return;
    const { dispatcher } = this.#parts;
    const admit = (token: string) => {
      const admitted = access.admit(token, stream as Socket);
      return "status" in admitted ? undefined : admitted;
    };
    this.#server.handleUpgrade(request, stream, head, (ws) => {
      const parts = { stream, connection, time: connections.time, dispatcher, admit };
      const peer = new WebSocketPeer(ws, parts, grant);
      this.#peers.add(peer);
      peer.onGone(() => this.#peers.delete(peer));
    });
  }

  /** Announces the restart to every client and resets those still connected after `boundMs`. */
  drain(boundMs: number): void {
    for (const peer of this.#peers) peer.end("shutdown", closeCodes.restart, "the gateway is stopping", boundMs);
  }

  #refuse(stream: Duplex, reason: CloseReason, refusal: UpgradeRefusal): void {
    this.#parts.connections.end(stream as Socket, reason, () => refuseUpgrade(stream, refusal));
  }
}
