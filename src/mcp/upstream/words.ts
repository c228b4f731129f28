/** Small readings and answers that every part of an upstream needs. */
import { errorBody, rpcCode } from "../json-rpc.ts";

export function numberAt(bytes: Buffer, start: number, end: number): number {
  return start === 0 ? Number.NaN : Number(bytes.toString("latin1", start, end));
}

export function unheard(
  serverId: string,
  message = "the client has no open connection on which it could be asked",
): Buffer {
  return errorBody(serverId, { code: rpcCode.unavailable, message, reason: "session_unknown" });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
