/** The HTTP headers of streamable HTTP. */
import type { IncomingMessage } from "node:http";

/** Session-based protocol revisions, newest first. */
export const sessionVersions: readonly string[] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/** Older revisions, never offered, but accepted from old servers. */
export const olderVersions: readonly string[] = ["2024-11-05", "2024-10-07"];

/** The stateless revision: each request carries its client's metadata. */
export const statelessVersion = "2026-07-28";

/** All supported revisions, newest first. */
export const allVersions: readonly string[] = [statelessVersion, ...sessionVersions];

/** The client's preferred form of an answer: JSON, a stream of events, or either. */
export type ReplyForm = "json" | "events" | "either";

const both = "application/json, text/event-stream";

/** From an Accept header. Undefined: the client accepts neither. A missing or empty header means "anything". */
export function replyForm(accept: string | undefined): ReplyForm | undefined {
  if (accept === undefined || accept === both || accept.trim() === "") return "either";
  const ranges = accept.split(",").map(mediaRange);
  const [json, events] = [takes(ranges, "application/json"), takes(ranges, "text/event-stream")];
  if (json) return events ? "either" : "json";
  return events ? "events" : undefined;
}

/** Whether the client accepts a stream of events. */
export function acceptsEvents({ headers }: IncomingMessage): boolean {
  const form = replyForm(headers.accept);
  return form === "events" || form === "either";
}

interface MediaRange {
  type: string;
  isRefused: boolean;
}

/** The most specific matching range decides; `q=0` rules out. */
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

/** The session whose end also ends the new one: a subagent's parent. */
export function parentOf(request: IncomingMessage): string | null {
  const id = request.headers["x-holdfast-parent"];
  return typeof id === "string" && id !== "" ? id : null;
}

/**
 * The scope of a stateless client: `X-Holdfast-Scope`, or `scope` in the query for clients that cannot set headers.
 * Undefined: absent; null: malformed.
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
 * Why the request's MCP-Protocol-Version is unsupported, or undefined. `negotiated` is the revision that client and
 * server agreed on: an old server may have chosen one that is unknown here.
 */
export function versionProblem(request: IncomingMessage, negotiated: string | undefined): string | undefined {
  const version = request.headers["mcp-protocol-version"];
  if (version === undefined || version === negotiated || sessionVersions.includes(String(version))) return undefined;
  return `MCP-Protocol-Version ${String(version)} is not supported here; supported: ${sessionVersions.join(", ")}`;
}
