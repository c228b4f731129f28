/** The refusals of streamable HTTP, in one place. */
import type { ErrorCode } from "../errors.ts";
import { rpcCode } from "./json-rpc.ts";
import type { Refusal } from "./reply.ts";

export function refusal(status: number, code: number, reason: ErrorCode, message: string): Refusal {
  return { status, fault: { code, message, reason } };
}

export function invalid(status: number, message: string): Refusal {
  return refusal(status, rpcCode.invalidRequest, "invalid_params", message);
}

export function unavailable(message: string, reason: ErrorCode): Refusal {
  return refusal(503, rpcCode.unavailable, reason, message);
}

export function unknownSession(): Refusal {
  const message = "no such session: it never was or has ended; begin a new one with initialize";
  return refusal(404, rpcCode.sessionUnknown, "session_unknown", message);
}

export function slowServer(server: string): Refusal["fault"] {
  const message = `MCP server ${JSON.stringify(server)} does not read what it was sent; try again`;
  return { code: rpcCode.unavailable, message, reason: "run_limit" };
}

/** For a client that comes back to a call which waits nowhere; to run it afresh would be to run it twice. */
export function unknownState(): Refusal["fault"] {
  const message = "params.requestState is unknown here or has expired; send the request again without it";
  return { code: rpcCode.invalidParams, message, reason: "invalid_params" };
}
