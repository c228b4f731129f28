/** The OAuth client of the MCP SDK, loaded when it is needed: it costs tens of megabytes, and most gateways never do. */
import type { FetchLike } from "@modelcontextprotocol/client";

export type Sdk = typeof import("@modelcontextprotocol/client");

/** Time for one request to an authorization server. */
const requestMs = 20_000;

export function loadSdk(): Promise<Sdk> {
  return import("@modelcontextprotocol/client");
}

export const boundedFetch: FetchLike = (url, init) =>
  fetch(url, {
    ...init,
    signal: AbortSignal.any([...(init?.signal ? [init.signal] : []), AbortSignal.timeout(requestMs)]),
  });
