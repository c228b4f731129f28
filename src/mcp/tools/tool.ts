/** A tool of Holdfast's own: how it is shown to a client, and what it does when called. */
import type { Session } from "../../sessions/session.ts";

export interface ToolResult {
  content: { type: "text"; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

export interface ToolCaller {
  session: Session;
  /** The client gave the call up. */
  signal: AbortSignal;
}

export interface OwnTool {
  name: string;
  description: string;
  /** JSON Schema of the arguments. */
  inputSchema: Record<string, unknown>;
  /** Hints for the client, by the protocol's names. */
  annotations?: { readOnlyHint: boolean };
  /** Never rejects: what goes wrong is a result with `isError`, for the model to read. */
  call(args: unknown, caller: ToolCaller): Promise<ToolResult>;
}

export function textResult(text: string, structuredContent?: Record<string, unknown>): ToolResult {
  return { content: [{ type: "text", text }], ...(structuredContent === undefined ? {} : { structuredContent }) };
}

export function errorResult(text: string, structuredContent?: Record<string, unknown>): ToolResult {
  return { ...textResult(text, structuredContent), isError: true };
}
