/** A remote server's session over HTTP: its request headers, its first answer, and its end. */
import type { OutgoingHttpHeaders } from "node:http";
import type { Clock } from "../../clock.ts";
import { exchange } from "./exchange.ts";

/** Bytes of an `initialize` answer searched for the version. */
const introductionBytesMax = 256 * 1024;
/** Time for a remote server to acknowledge the end of its session. */
const goodbyeMs = 2000;

export interface RemoteSession {
  id: string | undefined;
  /** Known since the answer to `initialize`. */
  version: string | undefined;
}

/** `own`: the config's. */
export function headersOf(
  { id, version }: RemoteSession,
  method: "POST" | "GET" | "DELETE",
  own: OutgoingHttpHeaders | undefined,
): OutgoingHttpHeaders {
  return {
    accept: method === "GET" ? "text/event-stream" : "application/json, text/event-stream",
    ...(method === "POST" ? { "content-type": "application/json" } : {}),
    ...(id === undefined ? {} : { "mcp-session-id": id }),
    ...(version === undefined ? {} : { "mcp-protocol-version": version }),
    ...own,
  };
}

export function versionIn(data: Buffer): string | undefined {
  return /"protocolVersion"\s*:\s*"([0-9-]{10})"/.exec(data.toString("latin1", 0, introductionBytesMax))?.[1];
}

/** Resolves when the server has acknowledged it, or after a timeout. */
export function sayGoodbye(url: URL, headers: OutgoingHttpHeaders, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const parts = { method: "DELETE" as const, url, headers, messageBytesMax: 4096, clock };
    const request = exchange(parts, { onEvent: (_, release) => release(), onEnd: () => resolve() });
    const late = clock.after(goodbyeMs, () => request.destroy());
    request.once("close", () => late.clear());
  });
}
