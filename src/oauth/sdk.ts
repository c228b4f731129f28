/** The MCP SDK's OAuth client, loaded on demand: it takes tens of megabytes. */
import type { FetchLike } from "@modelcontextprotocol/client";
import { abortAfter, systemClock } from "../clock.ts";

export type Sdk = typeof import("@modelcontextprotocol/client");

/** Limit of one request to an authorization server, with its answer. */
const requestMs = 20_000;
/** Limits of one answer, uncompressed; metadata and tokens are a few kilobytes. */
const bodyBytesMax = 1024 * 1024;
const bodyPiecesMax = 16 * 1024;

export function loadSdk(): Promise<Sdk> {
  return import("@modelcontextprotocol/client");
}

/** `fetch` with a bounded answer, since the SDK reads everything. */
export const boundedFetch: FetchLike = async (url, init) => {
  const response = await fetch(url, {
    ...init,
    signal: AbortSignal.any([...(init?.signal ? [init.signal] : []), abortAfter(systemClock, requestMs).signal]),
  });
  if (response.body === null) return response;
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(boundedBody()), { status, statusText, headers });
};

function boundedBody(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let [bytes, pieces] = [0, 0];
  return new TransformStream({
    transform(piece, controller) {
      bytes += piece.length;
      pieces++;
      if (bytes <= bodyBytesMax && pieces <= bodyPiecesMax) return controller.enqueue(piece);
      controller.error(
        new Error(`its answer is longer than ${bodyBytesMax} bytes, or in more than ${bodyPiecesMax} pieces`),
      );
    },
  });
}
