/** What streamable HTTP of the stateless era adds to a request, and how it says no. */
import type { OutgoingHttpHeaders } from "node:http";
import type { Envelope } from "../envelope.ts";

/** Requests that say in a header what they are about, and where it stands. */
const named: Record<string, "name" | "uri"> = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" };

/** The same that the body says, for whoever is on the way. */
export function statelessHeaders(envelope: Envelope, line: Buffer): OutgoingHttpHeaders {
  // A client may say anything of itself; the server judges it, but no header may break.
  const text = (start: number, end: number) => headerValue(String(JSON.parse(line.toString("utf8", start, end))));
  const { method, versionStart, versionEnd } = envelope;
  const headers = { "mcp-protocol-version": text(versionStart, versionEnd), "mcp-method": headerValue(method) };
  const key = named[method];
  if (key === undefined) return headers;
  const [start, end] = key === "uri" ? [envelope.uriStart, envelope.uriEnd] : [envelope.nameStart, envelope.nameEnd];
  return start === 0 ? headers : { ...headers, "mcp-name": text(start, end) };
}

/** A value that cannot stand in a header as it is, or that looks encoded, is encoded. */
function headerValue(value: string): string {
  const isPlain = /^[!-~](?:[ -~]*[!-~])?$/.test(value) && !(value.startsWith("=?base64?") && value.endsWith("?="));
  return isPlain ? value : `=?base64?${Buffer.from(value).toString("base64")}?=`;
}

/** The JSON-RPC error in a refusal, as the answer to the request with this id; undefined: there is none. */
export function refusalOf(words: string, id: string): Buffer | undefined {
  try {
    const { error } = JSON.parse(words) as { error?: { code?: unknown } };
    if (typeof error?.code !== "number") return undefined;
    return Buffer.concat([
      Buffer.from(`{"jsonrpc":"2.0","id":${id},"error":`, "latin1"),
      Buffer.from(`${JSON.stringify(error)}}`),
    ]);
  } catch {
    return undefined; // words for people: whoever asked hears them with the status
  }
}
