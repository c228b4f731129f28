/** What a browser must be told before a page of an allowed origin may call. Nothing is said to any other. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";

const none: OutgoingHttpHeaders = {};

/** Headers for every answer to a request whose Origin has been found allowed. */
export function corsHeaders(request: IncomingMessage): OutgoingHttpHeaders {
  const { origin } = request.headers;
  if (origin === undefined) return none;
  return { "access-control-allow-origin": origin, "access-control-expose-headers": "mcp-session-id", vary: "origin" };
}

/** A browser's question before the real request; it carries no token, and the answer gives nothing away. */
export function isPreflight(request: IncomingMessage): boolean {
  const { origin, "access-control-request-method": method } = request.headers;
  return request.method === "OPTIONS" && origin !== undefined && method !== undefined;
}

export function answerPreflight(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(204, {
    ...corsHeaders(request),
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers":
      "authorization, content-type, accept, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name, last-event-id",
    "access-control-max-age": "600",
  });
  response.end();
}
