/** One stream of server-sent events: writes with back-pressure, keeps itself alive, and lets go of a reader that stalls. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";

/** A reader that takes nothing for so long is cut off: its session's other traffic waits behind it. */
export const stallMsMax = 30_000;
/** What may wait for one reader, in bytes. A server of its own is held up long before; a pooled one talks on. */
export const queuedBytesMax = 64 * 1024 * 1024;

const comment = Buffer.from(":\n\n");

export class EventStream {
  readonly #response: ServerResponse;
  /** Releases that wait until the reader took what is buffered. */
  #owed: (() => void)[] = [];
  #stalledSince: number | undefined;

  constructor(response: ServerResponse, headers: OutgoingHttpHeaders) {
    this.#response = response;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      // Some reverse proxies hold events back without this.
      "x-accel-buffering": "no",
      ...headers,
    });
    response.on("drain", () => this.#settle()).once("close", () => this.#settle());
  }

  get open(): boolean {
    return !this.#response.writableEnded && !this.#response.destroyed;
  }

  /** Writes one finished event; `release` runs once the bytes were accepted, or at once if nobody will ever read them. */
  send(event: Buffer, release: () => void): void {
    if (!this.open) return release();
    if (this.#response.writableLength > queuedBytesMax) {
      this.#response.socket?.resetAndDestroy();
      return release();
    }
    if (this.#response.write(event)) return release();
    this.#owed.push(release);
  }

  /** A comment, so that nothing on the way thinks the stream idle; also the time to notice a reader that stalls. */
  heartbeat(now: number): void {
    if (!this.open) return;
    if (this.#response.writableNeedDrain) {
      this.#stalledSince ??= now;
      if (now - this.#stalledSince >= stallMsMax) this.#response.socket?.resetAndDestroy();
      return;
    }
    this.#response.write(comment);
  }

  /** Sends the headers although there is no event yet. */
  flush(): void {
    this.#response.flushHeaders();
  }

  /** Another stream of the same client takes its place. Whatever waits here would hold the server up until the network gives in. */
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
