/** `/node`: accepts upgrades of nodes, which prove their key in the first message instead of sending a token. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer, type ServerOptions } from "ws";
import { frameBytesMax, subprotocol } from "../../protocol/node/messages.ts";
import type { Nodes } from "../../nodes/gateway/nodes.ts";
import { connectionOf } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import { handshakeProblem, refuseUpgrade, type UpgradeRefusal } from "./handshake.ts";
import { NodeSocket } from "./node-socket.ts";
import { newerOptions } from "./options.ts";

export interface NodeEndpointParts {
  connections: Connections;
  nodes: Nodes;
}

export class NodeEndpoint {
  readonly #parts: NodeEndpointParts;
  readonly #server: WebSocketServer;

  constructor(parts: NodeEndpointParts) {
    this.#parts = parts;
    const options: ServerOptions = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: frameBytesMax,
      ...newerOptions(parts.connections.limits),
      handleProtocols: () => subprotocol,
    };
    this.#server = new WebSocketServer(options);
  }

  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { connections, nodes } = this.#parts;
    // Web pages must not even wait for approval; nodes send no Origin.
    const isPage = request.headers.origin !== undefined;
    const page: UpgradeRefusal = { status: 403, message: "a node has no Origin header" };
    const unknown: UpgradeRefusal | undefined =
      nodes.problem === undefined ? undefined : { status: 503, message: nodes.problem };
    const problem = isPage ? page : (handshakeProblem(request, subprotocol) ?? unknown);
    if (problem !== undefined)
      return connections.end(stream as Socket, "bad-request", () => refuseUpgrade(stream, problem));
    const connection = connectionOf(stream as Socket);
    if (connection === undefined || connection.state === "closing" || connection.state === "closed") return;
    this.#server.handleUpgrade(request, stream, head, (ws) => {
      new NodeSocket(ws, { stream, connection, time: connections.time }).begin(nodes);
    });
  }
}
