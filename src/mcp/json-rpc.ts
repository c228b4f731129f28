/** JSON-RPC 2.0 errors as bytes. Ids stay the text that came in (one byte per character), so that none is ever rounded. */
import type { ErrorCode } from "../errors.ts";

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
