/** The gateway's HTTP server: limits, access, routes, shutdown. */
import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { nodePath } from "../protocol/node/messages.ts";
import type { FrontConfig } from "../protocol/keeper/front-config.ts";
import { logDefect, type Log } from "../log.ts";
import type { McpEndpoint } from "../mcp/http/endpoint.ts";
import { rpcCode } from "../mcp/wire/json-rpc.ts";
import { refuse, sendBytes, sendJson } from "../mcp/http/reply.ts";
import { needsRead, needsRun, type Access, type Denial } from "./access.ts";
import { refuseBadHead } from "./bad-head.ts";
import { connectionOf } from "./connections/connection.ts";
import type { Connections } from "./connections/connections.ts";
import { answerPreflight, corsHeaders, isPreflight } from "./cors.ts";
import type { Metrics } from "./metrics.ts";
import type { RpcEndpoint } from "./rpc.ts";
import { isStdioUpgrade, mcpPath, type StdioEndpoint } from "./stdio.ts";
import type { WebSocketEndpoint } from "./websocket/endpoint.ts";
import { refuseUpgrade, websocketPath } from "./websocket/handshake.ts";
import type { NodeEndpoint } from "./websocket/node-endpoint.ts";

/** An import would load node:http's lazy exports too (undici): 16 MB and 50 ms. */
const { createServer } = process.getBuiltinModule("node:http");
/** Loaded on demand: TLS costs memory. */
const secureServer = () => process.getBuiltinModule("node:https").createServer;

/** Limits per connection; see Node's documentation. */
const serverOptions = {
  /** For the whole request: 16 MiB over a slow line must get through. */
  requestTimeout: 60_000,
  maxHeaderSize: 16 * 1024,
};
const headersCountMax = 64;

export interface FaceParts {
  connections: Connections;
  announce: (method: string) => void;
  log: Log;
}

/** Known only after listening. */
export interface FaceService {
  access: Access;
  rpc: RpcEndpoint;
  mcp: McpEndpoint;
  webSockets: WebSocketEndpoint;
  stdio: StdioEndpoint;
  nodes: NodeEndpoint;
  metrics: Metrics;
}

export class HttpFace {
  readonly servers: Server[];
  readonly #parts: FaceParts;
  #service: FaceService | undefined;
  #draining = false;

  constructor(addressCount: number, tls: FrontConfig["tls"], parts: FaceParts) {
    this.#parts = parts;
    this.servers = Array.from({ length: addressCount }, () => this.#makeServer(tls));
  }

  get webSockets(): WebSocketEndpoint | undefined {
    return this.#service?.webSockets;
  }

  /** Serves requests; earlier ones get 503. */
  serve(service: FaceService): void {
    this.#service = service;
  }

  /** Accepts no new connections or work. */
  drain(): void {
    this.#draining = true;
    for (const server of this.servers) {
      server.close();
      server.closeIdleConnections();
    }
  }

  #makeServer(tls: FrontConfig["tls"]): Server {
    const { connections } = this.#parts;
    const { headMs, idleMs, heartbeatMs } = connections.limits;
    const options = {
      ...serverOptions,
      headersTimeout: headMs,
      connectionsCheckingInterval: Math.min(1000, headMs / 5),
      /** Longer than clients pause between calls. */
      keepAliveTimeout: idleMs,
      // TCP keep-alive finds vanished peers while nothing is in flight.
      keepAlive: true,
      keepAliveInitialDelay: heartbeatMs,
      shouldUpgradeCallback: (request: IncomingMessage) =>
        isWebSocketPath(pathOf(request.url ?? "")) || isStdioUpgrade(request),
    };
    const server = tls === null ? createServer(options) : secureServer()({ ...options, ...tls, minVersion: "TLSv1.2" });
    server.maxHeadersCount = headersCountMax;
    connections.watch(server);
    server.on("clientError", (error, stream) => refuseBadHead(error, stream as Socket, connections));
    server.on("upgrade", (request, stream, head) => this.#upgrade(request, stream, head));
    const hear = (request: IncomingMessage, response: ServerResponse) => {
      // "close" reports broken sockets; without this listener an error would end the process.
      response.on("error", () => {});
      this.#route(request, response).catch((error: unknown) => this.#defect(request, response, error));
    };
    server.on("request", hear).on("checkContinue", hear);
    return server;
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { connections, announce } = this.#parts;
    const service = this.#service;
    const isStdio = isStdioUpgrade(request);
    const path = pathOf(request.url ?? "");
    if (!isStdio && !isWebSocketPath(path)) {
      const refusal = { status: 404 as const, message: `a WebSocket is at ${websocketPath} only` };
      return connections.end(stream as Socket, "bad-request", () => refuseUpgrade(stream, refusal));
    }
    const isBusy = service === undefined || this.#draining || connections.crowded;
    if (service === undefined || isBusy) {
      const refusal = { status: 503 as const, message: this.#busyMessage(), headers: { "retry-after": "1" } };
      return connections.end(stream as Socket, "crowded", () => refuseUpgrade(stream, refusal));
    }
    announce(isStdio ? "upgrade /mcp" : `upgrade ${path}`);
    if (isStdio) return service.stdio.upgrade(request, stream, head);
    if (path === nodePath) return service.nodes.upgrade(request, stream, head);
    service.webSockets.upgrade(request, stream, head);
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = connectionOf(request.socket);
    // Checked per request: the state changes only with a connection's first ones.
    if (connection?.state === "accepted") connection.authenticate(this.#parts.connections.time.now);
    const path = pathOf(request.url ?? "");
    if (path === "/healthz") return sendJson(response, 200, { ok: true });
    const service = this.#service;
    if (path === "/readyz") return this.#answerReady(response, service !== undefined);
    if (service === undefined || this.#draining || this.#parts.connections.crowded)
      return this.#busy(request, response);
    const denied = service.access.screen(request);
    if (denied !== undefined) return deny(request, response, denied);
    const headers = corsHeaders(request);
    if (isPreflight(request)) return answerPreflight(request, response);
    if (path === websocketPath) return this.#upgradeNeeded(request, response, headers);
    const mcp = mcpPath.exec(path);
    const isMcp = mcp !== null;
    const server = mcp?.[1];
    const isMetrics = path === "/metrics";
    if (path !== "/rpc" && !isMcp && !isMetrics) return this.#notFound(request, response, path, headers);
    const grant = service.access.authorize(request);
    if ("status" in grant) return deny(request, response, grant, headers);
    if (isMcp && !grant.scopes.has("run")) return deny(request, response, needsRun, headers);
    if (isMetrics && !grant.scopes.has("read")) return deny(request, response, needsRead, headers);
    if (connection?.proven === false) connection.open();
    this.#parts.announce(isMcp ? `${request.method} /mcp` : path);
    if (isMetrics) return this.#answerMetrics(service.metrics, request, response, headers);
    if (!isMcp) {
      const lost = new AbortController();
      response.once("close", () => {
        if (!response.writableFinished) lost.abort();
      });
      const caller = { id: grant.id, scopes: grant.scopes, peer: undefined, lost: lost.signal };
      return service.rpc.handle(request, response, headers, caller);
    }
    return service.mcp.handle(server, request, response, headers, grant);
  }

  async #answerMetrics(
    metrics: Metrics,
    request: IncomingMessage,
    response: ServerResponse,
    headers: OutgoingHttpHeaders,
  ): Promise<void> {
    if (request.method !== "GET") {
      const fault = { code: rpcCode.invalidRequest, message: "use GET", reason: "invalid_params" as const };
      return refuse(request, response, { status: 405, fault, headers: { ...headers, allow: "GET" } });
    }
    const { type, text } = await metrics.page();
    sendBytes(response, 200, Buffer.from(text), { ...headers, "content-type": type });
  }

  #answerReady(response: ServerResponse, started: boolean): void {
    const isReady = started && !this.#draining;
    sendJson(response, isReady ? 200 : 503, { ok: isReady });
  }

  #busyMessage(): string {
    return this.#draining
      ? "the gateway is stopping"
      : "the gateway is starting or has too many connections; try again";
  }

  #busy(request: IncomingMessage, response: ServerResponse): void {
    const fault = { code: rpcCode.unavailable, message: this.#busyMessage(), reason: "gateway_busy" as const };
    refuse(request, response, { status: 503, fault, headers: { connection: "close", "retry-after": "1" } });
  }

  #upgradeNeeded(request: IncomingMessage, response: ServerResponse, headers: OutgoingHttpHeaders): void {
    const message = "connect with a WebSocket (subprotocol holdfast.v1)";
    const fault = { code: rpcCode.invalidRequest, message, reason: "websocket_only" as const };
    refuse(request, response, { status: 426, fault, headers: { ...headers, upgrade: "websocket" } });
  }

  #notFound(request: IncomingMessage, response: ServerResponse, path: string, headers: OutgoingHttpHeaders): void {
    const message = path.startsWith("/mcp")
      ? "an MCP server is at /mcp/<its name in the config>"
      : "available: /mcp, /mcp/<server>, /rpc, /ws, /metrics, /healthz and /readyz";
    const fault = {
      code: rpcCode.invalidRequest,
      message: `nothing at ${path.slice(0, 200)}: ${message}`,
      reason: "method_unknown" as const,
    };
    refuse(request, response, { status: 404, fault, headers });
  }

  #defect(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    logDefect(this.#parts.log, error);
    const fault = {
      code: rpcCode.internal,
      message: "a defect in Holdfast; see the gateway's log",
      reason: "internal" as const,
    };
    if (response.headersSent) response.destroy();
    else refuse(request, response, { status: 500, fault });
  }
}

function deny(
  request: IncomingMessage,
  response: ServerResponse,
  denial: Denial,
  headers: OutgoingHttpHeaders = {},
): void {
  const { status, message, retryAfterS } = denial;
  const isToken = status === 401 || status === 429;
  const fault = {
    code: rpcCode.invalidRequest,
    message,
    reason: isToken ? ("unauthorized" as const) : ("forbidden" as const),
  };
  const challenge = status === 401 ? { "www-authenticate": 'Bearer realm="holdfast"' } : {};
  const wait = retryAfterS === undefined ? {} : { "retry-after": String(retryAfterS), connection: "close" };
  refuse(request, response, { status, fault, headers: { ...headers, ...challenge, ...wait } });
}

function isWebSocketPath(path: string): boolean {
  return path === websocketPath || path === nodePath;
}

/** The path without its query, which is ignored: a token in it must not count. */
function pathOf(url: string): string {
  const query = url.indexOf("?");
  return query === -1 ? url : url.slice(0, query);
}
