/** Reads request bodies within a limit per request and a limit in total. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { GatheredBytes } from "../../gathered-bytes.ts";

/** Bytes of partly read bodies in memory at one time, over all connections. */
const partialBytesMax = 256 * 1024 * 1024;

export type BodyOutcome = Buffer | "too-large" | "no-room" | "gone";

/** One for all connections of a gateway. */
export class BodyReader {
  #partialBytes = 0;

  /** Resolves with the body or with the reason for its absence; never rejects. */
  read(request: IncomingMessage, response: ServerResponse, bytesMax: number): Promise<BodyOutcome> {
    const declared = Number(request.headers["content-length"] ?? 0);
    if (declared > bytesMax) return Promise.resolve("too-large");
    if (this.#partialBytes + declared > partialBytesMax) return Promise.resolve("no-room");
    if (request.headers.expect !== undefined) response.writeContinue();
    return new Promise((resolve) => {
      const body = new GatheredBytes();
      let length = 0;
      let settled = false;
      const settle = (outcome: BodyOutcome) => {
        if (settled) return;
        settled = true;
        this.#partialBytes -= length;
        resolve(outcome);
      };
      const take = (chunk: Buffer) => {
        if (settled) return;
        length += chunk.length;
        this.#partialBytes += chunk.length;
        body.add(chunk);
        if (length > bytesMax) settle("too-large");
        else if (this.#partialBytes > partialBytesMax) settle("no-room");
      };
      // The listeners go with the request; removing them would cost time on every call.
      request.on("data", take);
      request.on("end", () => settle(body.take()));
      request.on("close", () => settle("gone"));
      request.on("error", () => {}); // an aborted upload: "close" follows and settles
    });
  }
}
