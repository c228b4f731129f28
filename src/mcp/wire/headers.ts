/** The HTTP headers that streamable HTTP gives a meaning. */
import type { IncomingMessage } from "node:http";

/** Protocol revisions of a session-based revision, newest first. */
export const sessionVersions = ["2025-11-25", "2025-06-18", "2025-03-26"];

/** Older ones, which are offered to nobody, but which an old server may choose. */
export const olderVersions = ["2024-11-05", "2024-10-07"];

/** The stateless revision: no sessions, what must be known of a client is in each request. */
export const statelessVersion = "2026-07-28";

/** All that is served here, newest first. */
export const allVersions = [statelessVersion, ...sessionVersions];

/** In what form a client takes the answer to a request: as JSON, as a stream of events, or in whichever is handier. */
export type ReplyForm = "json" | "events" | "either";

const both = "application/json, text/event-stream";

/** By an Accept header. Undefined: the client takes neither. No header, and an empty one, mean "anything". */
export function replyForm(accept: string | undefined): ReplyForm | undefined {
  if (accept === undefined || accept === both || accept.trim() === "") return "either";
  const ranges = accept.split(",").map(mediaRange);
  const [json, events] = [takes(ranges, "application/json"), takes(ranges, "text/event-stream")];
  if (json) return events ? "either" : "json";
  return events ? "events" : undefined;
}

/** Whether the client listens to a stream of events. */
export function acceptsEvents({ headers }: IncomingMessage): boolean {
  const form = replyForm(headers.accept);
  return form === "events" || form === "either";
}

interface MediaRange {
  type: string;
  isRefused: boolean;
}

/** The most exact range that covers the type decides; `q=0` rules out. */
function takes(ranges: MediaRange[], type: string): boolean {
  const [family = ""] = type.split("/");
  for (const range of [type, `${family}/*`, "*/*"]) {
    const found = ranges.filter((each) => each.type === range);
    if (found.length > 0) return found.some(({ isRefused }) => !isRefused);
  }
  return false;
}

function mediaRange(part: string): MediaRange {
  const [type = "", ...parameters] = part.split(";").map((each) => each.trim().toLowerCase());
  return { type, isRefused: parameters.some((parameter) => /^q\s*=\s*0(\.0*)?$/.test(parameter)) };
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
