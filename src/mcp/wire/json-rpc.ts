/** JSON-RPC 2.0 messages as bytes. Ids keep their text (one byte per character), so that none is ever rounded. */
import type { ErrorCode } from "../../errors.ts";

export const rpcCode = {
  parse: -32700,
  invalidRequest: -32600,
  methodUnknown: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** The call cannot be answered: its server or session is gone, or a limit is reached. */
  unavailable: -32000,
  /** No answer in time, or, as in the MCP SDK's own server, an unknown session. */
  timeout: -32001,
  sessionUnknown: -32001,
  /** Revision 2026-07-28: headers and body differ, or the revision is unsupported. */
  headerMismatch: -32020,
  unsupportedVersion: -32022,
} as const;

export interface RpcFault {
  code: number;
  message: string;
  /** Holdfast's own code, for programs. */
  reason: ErrorCode;
  /** Additional data that the protocol requires for this code. */
  data?: Record<string, unknown>;
}

/** A whole error response. `id` is the request's id as written, or undefined where unknown. */
export function errorBody(id: string | undefined, fault: RpcFault): Buffer {
  const error = JSON.stringify({
    code: fault.code,
    // It may have a cut text in it, and strict readers refuse half a character.
    message: fault.message.toWellFormed(),
    data: { ...fault.data, code: fault.reason },
  });
  return Buffer.concat([
    Buffer.from(`{"jsonrpc":"2.0","id":${id ?? "null"},"error":`, "latin1"),
    Buffer.from(`${error}}`, "utf8"),
  ]);
}

/** A whole response; `id` as the client wrote it. */
export function answerText(id: string, result: Buffer | string): Buffer {
  const head = Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":`, "latin1");
  return Buffer.concat([head, typeof result === "string" ? Buffer.from(result) : result, Buffer.from("}")]);
}

/** Offset of the result in `answerText`. */
export function resultStart(id: string): number {
  return '{"jsonrpc":"2.0","id":,"result":'.length + id.length;
}

/** ASCII-only JSON, which may replace a span of bytes. */
export function asciiText(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Our number in an answer. Some peers return every id as a string, which the SDK accepts. */
export function numberAt(bytes: Buffer, start: number, end: number): number {
  if (start === 0) return Number.NaN;
  const quotes = bytes[start] === 0x22 ? 1 : 0;
  return Number(bytes.toString("latin1", start + quotes, end - quotes));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
