/**
 * One client WebSocket: authenticates, then speaks JSON-RPC, with bounds on unsent bytes, open calls and everything
 * before authentication.
 */
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { CloseReason, Connection, Judged } from "../connections/connection.ts";
import type { LoopTime } from "../connections/loop-time.ts";
import type { MethodDispatcher } from "../dispatch.ts";
import type { Grant } from "../grants.ts";
import type { Caller, Peer } from "../methods/handlers.ts";
import { readAuth } from "./auth.ts";

/** Close codes of RFC 6455, 7.4.1. */
export const closeCodes = { unsupported: 1003, policy: 1008, tooLarge: 1009, restart: 1012 } as const;

/** Open calls per connection; more are refused. */
const callsMax = 64;
/** Bytes allowed before the token. */
const unprovenBytesMax = 8 * 1024;

export interface PeerParts {
  /** The connection's socket, or TLS over it. */
  stream: Duplex;
  connection: Connection;
  time: LoopTime;
  dispatcher: MethodDispatcher;
  /** The token's grant; undefined = wrong. */
  admit: (token: string) => Grant | undefined;
}

export class WebSocketPeer implements Peer, Judged {
  readonly #ws: WebSocket;
  readonly #parts: PeerParts;
  readonly #goneListeners = new Set<() => void>();
  #caller: Caller | undefined;
  #calls = 0;
  /** Resolves when the unsent bytes have been read. */
  #waiting: PromiseWithResolvers<void> | undefined;
  #farewell: [code: number, message: string] = [closeCodes.policy, "not authenticated in time"];

  constructor(ws: WebSocket, parts: PeerParts, grant: Grant | undefined) {
    this.#ws = ws;
    this.#parts = parts;
    const { connection, stream, time } = parts;
    connection.becomeWebSocket(this);
    ws.on("message", (data, isBinary) => this.#hear(data, isBinary));
    // Protocol error: ws has sent the close frame already.
    ws.on("error", (error) => connection.close(reasonOf(error), time.now, () => {}));
    connection.onClosing(() => this.#leave());
    if (grant !== undefined) {
      this.#admit(grant);
      return;
    }
    connection.authenticate(time.now);
    let heard = 0;
    const count = (chunk: Buffer) => {
      heard += chunk.length;
      if (connection.proven) stream.off("data", count);
      else if (heard > unprovenBytesMax) this.end("too-large", closeCodes.tooLarge, "too much before auth");
    };
    stream.on("data", count);
  }

  // ── receiving ──

  #hear(data: RawData, isBinary: boolean): void {
    const { connection } = this.#parts;
    // Input after a refused token or during closing is dropped.
    if (connection.state === "closing" || connection.state === "closed") return;
    if (isBinary) return this.end("protocol-error", closeCodes.unsupported, "messages are text");
    // One buffer, ws's default `binaryType`.
    const text = (data as Buffer).toString();
    if (this.#caller === undefined) return this.#authenticate(text);
    void this.#answer(text, this.#caller);
  }

  #authenticate(text: string): void {
    const auth = readAuth(text);
    const grant = auth.token === undefined ? undefined : this.#parts.admit(auth.token);
    if (grant === undefined) {
      this.#ws.send(auth.refusal(auth.token === undefined ? "the first message must be `auth`" : "the token is wrong"));
      return this.end("unauthorized", closeCodes.policy, "unauthorized");
    }
    this.#admit(grant);
    this.#ws.send(auth.accepted(grant.scopes));
  }

  #admit({ id, scopes }: Grant): void {
    const lost = new AbortController();
    this.onGone(() => lost.abort());
    this.#caller = { id, scopes, peer: this, lost: lost.signal };
    this.#parts.connection.open();
  }

  async #answer(text: string, caller: Caller): Promise<void> {
    const { dispatcher } = this.#parts;
    if (this.#calls >= callsMax) {
      this.#send(dispatcher.refuse(text, `more than ${callsMax} calls at one time on one connection`));
      return;
    }
    this.#calls++;
    try {
      const { body } = await dispatcher.answer(text, caller);
      if (body !== undefined) this.#send(JSON.stringify(body));
    } finally {
      this.#calls--;
    }
  }

  // ── sending ──

  notify(method: string, params: object): boolean {
    return this.notifyJson(method, JSON.stringify(params));
  }

  notifyJson(method: string, params: string): boolean {
    return this.#send(`{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${params}}`);
  }

  drained(): Promise<void> {
    return this.#waiting?.promise ?? Promise.resolve();
  }

  /** False: it waits. Above `closeBytes` the client is closed, since it will not catch up. */
  #send(text: string): boolean {
    const { connection, time } = this.#parts;
    if (this.gone) return false;
    const { pauseBytes, closeBytes } = connection.limits;
    if (this.#ws.bufferedAmount > closeBytes) {
      connection.close("slow-consumer", time.now);
      return false;
    }
    this.#ws.send(text);
    if (this.#ws.bufferedAmount <= pauseBytes) return this.#waiting === undefined;
    this.#wait();
    return false;
  }

  /** Reading pauses until the client has read, since its calls would add to the queue. */
  #wait(): void {
    if (this.#waiting !== undefined) return;
    this.#waiting = Promise.withResolvers<void>();
    this.#ws.pause();
    this.#parts.stream.once("drain", () => {
      if (!this.gone) this.#ws.resume();
      this.#settle();
    });
  }

  #settle(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  // ── checks and closing ──

  get paused(): boolean {
    return this.#waiting !== undefined;
  }

  get leaving(): boolean {
    return this.#ws.readyState !== this.#ws.OPEN;
  }

  ping(): void {
    this.#ws.ping();
  }

  get gone(): boolean {
    const { state } = this.#parts.connection;
    return state === "closing" || state === "closed";
  }

  onGone(listener: () => void): () => void {
    if (this.gone) listener();
    else this.#goneListeners.add(listener);
    return () => this.#goneListeners.delete(listener);
  }

  /** Closes with a close frame; without a reply within `closingMs` the connection is reset. */
  end(reason: CloseReason, code: number, message: string, closingMs?: number): void {
    const { connection, time } = this.#parts;
    this.#farewell = [code, message];
    connection.close(reason, time.now, () => this.farewell(), closingMs);
  }

  farewell(): void {
    // Resume reading, to see its close frame.
    this.#ws.resume();
    this.#ws.close(...this.#farewell);
  }

  #leave(): void {
    this.#settle();
    for (const listener of this.#goneListeners) listener();
    this.#goneListeners.clear();
  }
}

export function reasonOf(error: Error & { code?: string }): CloseReason {
  return error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" || error.code === "WS_ERR_TOO_MANY_BUFFERED_PARTS"
    ? "too-large"
    : "protocol-error";
}
