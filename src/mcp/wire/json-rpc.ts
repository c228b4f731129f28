/** JSON-RPC 2.0 messages as bytes. Ids stay the text that came in (one byte per character), so that none is ever rounded. */
import type { ErrorCode } from "../../errors.ts";

export const rpcCode = {
  parse: -32700,
  invalidRequest: -32600,
  methodUnknown: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** The call cannot be answered: its server or its session is gone, or there is no room. */
  unavailable: -32000,
  /** No answer in time, and, as in the MCP SDK's own server, a session that does not exist. */
  timeout: -32001,
  sessionUnknown: -32001,
  /** Revision 2026-07-28: a header does not say what the body says; the revision is not served. */
  headerMismatch: -32020,
  unsupportedVersion: -32022,
} as const;

export interface RpcFault {
  code: number;
  message: string;
  /** Holdfast's own code, for programs. */
  reason: ErrorCode;
  /** What the protocol wants an error of this code to carry besides. */
  data?: Record<string, unknown>;
}

/** A whole error response. `id` is the request's id as it was written, or undefined where it is not known. */
export function errorBody(id: string | undefined, fault: RpcFault): Buffer {
  const error = JSON.stringify({
    code: fault.code,
    message: fault.message,
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

/** Where the result of `answerText` begins. */
export function resultStart(id: string): number {
  return '{"jsonrpc":"2.0","id":,"result":'.length + id.length;
}

/** JSON of ASCII only, which may stand in place of a span of bytes. */
export function asciiText(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A number of ours that comes back. Some write every id as a string, and the SDK's clients and servers let them. */
export function numberAt(bytes: Buffer, start: number, end: number): number {
  if (start === 0) return Number.NaN;
  const quotes = bytes[start] === 0x22 ? 1 : 0;
  return Number(bytes.toString("latin1", start + quotes, end - quotes));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
