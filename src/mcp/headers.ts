/** The HTTP headers that streamable HTTP gives a meaning. */
import type { IncomingMessage } from "node:http";

/** Protocol revisions of the session era, newest first. */
export const sessionVersions = ["2025-11-25", "2025-06-18", "2025-03-26"];

/** Older ones, which are offered to nobody, but which an old server may choose. */
export const olderVersions = ["2024-11-05", "2024-10-07"];

/** The stateless revision: no sessions, what must be known of a client is in each request. */
export const statelessVersion = "2026-07-28";

/** All that is served here, newest first. */
export const allVersions = [statelessVersion, ...sessionVersions];

const both = "application/json, text/event-stream";

/** Whether the client takes all of these media types. No Accept header means "anything". */
export function accepts(request: IncomingMessage, ...types: string[]): boolean {
  const { accept } = request.headers;
  if (accept === undefined || accept === both) return true;
  const ranges = accept
    .split(",")
    .map(mediaRange)
    .filter((range) => range !== "");
  return types.every((type) => {
    const [family] = type.split("/");
    return ranges.includes(type) || ranges.includes(`${family}/*`) || ranges.includes("*/*");
  });
}

/** The media type of one part of an Accept header; empty when the client rules it out with q=0. */
function mediaRange(part: string): string {
  const [type = "", ...parameters] = part.split(";").map((word) => word.trim().toLowerCase());
  return parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) ? "" : type;
}

export function isJson(request: IncomingMessage): boolean {
  const type = request.headers["content-type"];
  return type === "application/json" || type?.split(";")[0]?.trim().toLowerCase() === "application/json";
}

export function sessionIdOf(request: IncomingMessage): string | undefined {
  const id = request.headers["mcp-session-id"];
  return typeof id === "string" ? id : undefined;
}

/** The session that a new one is to end with: a subagent's parent. */
export function parentOf(request: IncomingMessage): string | null {
  const id = request.headers["x-holdfast-parent"];
  return typeof id === "string" && id !== "" ? id : null;
}

/**
 * The scope of a client that keeps no session: `X-Holdfast-Scope`, or `scope` in the query for clients whose headers cannot
 * be set. Undefined: none is given; null: it is not of the form that a scope has.
 */
export function scopeOf(request: IncomingMessage): string | undefined | null {
  const header = request.headers["x-holdfast-scope"];
  const query = request.url?.indexOf("?") ?? -1;
  const asked = query === -1 ? null : new URLSearchParams(request.url?.slice(query)).get("scope");
  const scope = header ?? asked ?? undefined;
  if (scope === undefined) return undefined;
  return typeof scope === "string" && /^[A-Za-z0-9._~-]{1,128}$/.test(scope) ? scope : null;
}

/**
 * Why the request's MCP-Protocol-Version cannot be served, or undefined. `negotiated` is what client and server agreed on:
 * an old server may have chosen an older revision than we know by name, and that is between the two of them.
 */
export function versionProblem(request: IncomingMessage, negotiated: string | undefined): string | undefined {
  const version = request.headers["mcp-protocol-version"];
  if (version === undefined || version === negotiated || sessionVersions.includes(String(version))) return undefined;
  return `MCP-Protocol-Version ${String(version)} is not supported here; supported: ${sessionVersions.join(", ")}`;
}
