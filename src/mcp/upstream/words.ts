/** Small readings and answers that every part of an upstream needs. */
import { errorBody, rpcCode } from "../json-rpc.ts";

/** A number of ours that comes back. Some write every id as a string, and the SDK's clients and servers let them. */
export function numberAt(bytes: Buffer, start: number, end: number): number {
  if (start === 0) return Number.NaN;
  const quotes = bytes[start] === 0x22 ? 1 : 0;
  return Number(bytes.toString("latin1", start + quotes, end - quotes));
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
