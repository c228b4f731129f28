/** One node's WebSocket, bounded in what it may send before its proof and in what waits for it. */
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import { unprovenFrameBytesMax } from "../../protocol/node/messages.ts";
import type { Nodes } from "../../nodes/gateway/nodes.ts";
import type { NodeWire, WireEnd } from "../../nodes/gateway/wire.ts";
import type { Connection, Judged } from "../connections/connection.ts";
import type { LoopTime } from "../connections/loop-time.ts";
import { closeCodes, reasonOf } from "./peer.ts";

/** WebSocket framing adds a few bytes to those before the proof. */
const unprovenBytesMax = unprovenFrameBytesMax + 64;

export interface NodeSocketParts {
  /** The connection's socket, or TLS over it. */
  stream: Duplex;
  connection: Connection;
  time: LoopTime;
}

/** Reasons that get no goodbye: the client does not read, or broke the protocol. */
const resets = new Set<WireEnd>(["protocol-error", "no-heartbeat"]);

export class NodeSocket implements NodeWire, Judged {
  readonly #ws: WebSocket;
  readonly #parts: NodeSocketParts;
  #farewell: [code: number, message: string] = [closeCodes.policy, "not proven in time"];
  /** Resolves when enough has been read, or the node is gone. */
  #waiting: PromiseWithResolvers<void> | undefined;

  constructor(ws: WebSocket, parts: NodeSocketParts) {
    this.#ws = ws;
    this.#parts = parts;
    parts.connection.becomeWebSocket(this);
    parts.connection.authenticate(parts.time.now);
  }

  /** Starts receiving. */
  begin(nodes: Nodes): void {
    const { connection, stream, time } = this.#parts;
    let heard = 0;
    const count = (chunk: Buffer) => {
      heard += chunk.length;
      if (connection.proven) stream.off("data", count);
      else if (heard > unprovenBytesMax) connection.close("too-large", time.now);
    };
    stream.on("data", count);
    const visit = nodes.greet(this);
    this.#ws.on("message", (data: RawData, isBinary) => {
      // Messages during closing are dropped.
      if (this.#gone) return;
      if (isBinary) return this.end("protocol-error", "messages are text");
      visit.hear((data as Buffer).toString());
    });
    // Protocol error: ws has sent the close frame already.
    this.#ws.on("error", (error) => connection.close(reasonOf(error), time.now, () => {}));
    connection.onClosing(() => {
      this.#settle();
      visit.gone(connection.reason ?? "client-left");
    });
  }

  // ── for its users ──

  get address(): string {
    return this.#parts.connection.address;
  }

  get loopNow(): number {
    return this.#parts.time.now;
  }

  send(text: string): void {
    if (this.#gone) return;
    const { connection, time, stream } = this.#parts;
    const { pauseBytes, closeBytes } = connection.limits;
    if (this.#ws.bufferedAmount > closeBytes) return connection.close("slow-consumer", time.now);
    this.#ws.send(text);
    if (this.#ws.bufferedAmount <= pauseBytes || this.#waiting !== undefined) return;
    this.#waiting = Promise.withResolvers<void>();
    stream.once("drain", () => this.#settle());
  }

  ready(): Promise<void> {
    return this.#waiting?.promise ?? Promise.resolve();
  }

  proven(): void {
    this.#parts.connection.open();
  }

  end(reason: WireEnd, message: string): void {
    const { connection, time } = this.#parts;
    if (resets.has(reason)) return connection.close(reason, time.now);
    this.#farewell = [reason === "shutdown" ? closeCodes.restart : closeCodes.policy, message];
    connection.close(reason, time.now, () => this.farewell());
  }

  // ── for the connection's checks ──

  /** Always reading: we wait for its answers. */
  get paused(): boolean {
    return false;
  }

  get leaving(): boolean {
    return this.#ws.readyState !== this.#ws.OPEN;
  }

  ping(): void {
    this.#ws.ping();
  }

  farewell(): void {
    this.#ws.close(...this.#farewell);
  }

  get #gone(): boolean {
    const { state } = this.#parts.connection;
    return state === "closing" || state === "closed";
  }

  #settle(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}
