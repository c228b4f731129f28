/** One stream of server-sent events: back-pressure, heartbeats, and disconnection of stalled readers. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";

/** A stalled reader is disconnected after this time: its session's other traffic waits behind it. */
export const stallMsMax = 30_000;
/** Queued bytes per reader. A server of its own is paused long before; a pooled one keeps sending. */
export const queuedBytesMax = 64 * 1024 * 1024;

const comment = Buffer.from(":\n\n");

export class EventStream {
  readonly #response: ServerResponse;
  /** Releases that wait until the reader has taken the buffered bytes. */
  #owed: (() => void)[] = [];
  #stalledSince: number | undefined;

  constructor(response: ServerResponse, headers: OutgoingHttpHeaders) {
    this.#response = response;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      // Some reverse proxies buffer events without this.
      "x-accel-buffering": "no",
      ...headers,
    });
    response.on("drain", () => this.#settle()).once("close", () => this.#settle());
  }

  get open(): boolean {
    return !this.#response.writableEnded && !this.#response.destroyed;
  }

  /** Writes one finished event; `release` runs once the bytes are accepted, or at once if the stream is closed. */
  send(event: Buffer, release: () => void): void {
    if (!this.open) return release();
    if (this.#response.writableLength > queuedBytesMax) {
      this.#response.socket?.resetAndDestroy();
      return release();
    }
    if (this.#response.write(event)) return release();
    this.#owed.push(release);
  }

  /** Writes a comment to keep proxies from closing an idle stream, and detects a stalled reader. */
  heartbeat(now: number): void {
    if (!this.open) return;
    if (this.#response.writableNeedDrain) {
      this.#stalledSince ??= now;
      if (now - this.#stalledSince >= stallMsMax) this.#response.socket?.resetAndDestroy();
      return;
    }
    this.#response.write(comment);
  }

  /** Sends the headers ahead of the first event. */
  flush(): void {
    this.#response.flushHeaders();
  }

  /** Ends in favor of the client's new stream. Pending events would stall the server until a network timeout. */
  replace(): void {
    if (this.#owed.length > 0) this.#response.socket?.resetAndDestroy();
    else this.end();
  }

  end(): void {
    if (this.open) this.#response.end();
  }

  #settle(): void {
    this.#stalledSince = undefined;
    const owed = this.#owed;
    this.#owed = [];
    for (const release of owed) release();
  }
}
