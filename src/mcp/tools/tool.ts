/** One of Holdfast's own tools: its description for a client, and its implementation. */
import type { Session } from "../../sessions/session.ts";

export interface ToolResult {
  content: { type: "text"; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

export interface ToolCaller {
  session: Session;
  /** Aborted when the client cancels the call. */
  signal: AbortSignal;
}

export interface OwnTool {
  name: string;
  description: string;
  /** JSON Schema of the arguments. */
  inputSchema: Record<string, unknown>;
  /** Hints for the client, by the protocol's names. */
  annotations?: { readOnlyHint: boolean };
  /** Never rejects: a failure is a result with `isError`, for the model to read. */
  call(args: unknown, caller: ToolCaller): Promise<ToolResult>;
}

export function textResult(text: string, structuredContent?: Record<string, unknown>): ToolResult {
  return { content: [{ type: "text", text }], ...(structuredContent === undefined ? {} : { structuredContent }) };
}

export function errorResult(text: string, structuredContent?: Record<string, unknown>): ToolResult {
  return { ...textResult(text, structuredContent), isError: true };
}
