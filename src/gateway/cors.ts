/** CORS headers for allowed origins; none for others. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";

const none: Readonly<OutgoingHttpHeaders> = {};

/** Headers for an allowed Origin. */
export function corsHeaders(request: IncomingMessage): OutgoingHttpHeaders {
  const { origin } = request.headers;
  if (origin === undefined) return none;
  return { "access-control-allow-origin": origin, "access-control-expose-headers": "mcp-session-id", vary: "origin" };
}

/** The preflight request. It carries no token, and the answer reveals nothing. */
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
