/** Request headers of stateless streamable HTTP, and its refusals. */
import type { OutgoingHttpHeaders } from "node:http";
import type { Envelope } from "../wire/envelope.ts";
import { headerValue } from "../wire/header-values.ts";

/** Requests with their target in a header, and its place. */
const named: Record<string, "name" | "uri"> = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" };

/** Repeats the body's metadata for proxies. */
export function statelessHeaders(envelope: Envelope, line: Buffer): OutgoingHttpHeaders {
  // The server judges the client's metadata, but a header must stay valid.
  const text = (start: number, end: number) => headerValue(String(JSON.parse(line.toString("utf8", start, end))));
  const { method, versionStart, versionEnd } = envelope;
  const headers = { "mcp-protocol-version": text(versionStart, versionEnd), "mcp-method": headerValue(method) };
  const key = named[method];
  if (key === undefined) return headers;
  const [start, end] = key === "uri" ? [envelope.uriStart, envelope.uriEnd] : [envelope.nameStart, envelope.nameEnd];
  return start === 0 ? headers : { ...headers, "mcp-name": text(start, end) };
}

export interface RefusedRequest {
  code: number;
  /** As the answer to the request. */
  line: Buffer;
}

/** The JSON-RPC error in the refusal of the request with this id; undefined: there is none. */
export function refusalOf(words: string, id: string): RefusedRequest | undefined {
  try {
    const { error } = JSON.parse(words) as { error?: { code?: unknown } };
    if (typeof error?.code !== "number") return undefined;
    const head = Buffer.from(`{"jsonrpc":"2.0","id":${id},"error":`, "latin1");
    return { code: error.code, line: Buffer.concat([head, Buffer.from(`${JSON.stringify(error)}}`)]) };
  } catch {
    return undefined; // plain text: the caller gets it with the status
  }
}
