/** One WebSocket to a gateway: calls, notifications, and a check that the gateway is alive. */
import type { ConnectionOptions } from "node:tls";
import { WebSocket } from "ws";
import { systemClock, type Timer } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import type { MethodName, ParamsOf, ResultOf } from "../protocol/api/index.ts";
import { knownCode, late, unreachable } from "./address.ts";

const subprotocol = "holdfast.v1";
/** The gateway must answer within this time. */
const pingMs = 15_000;
const openMsMax = 10_000;
/** ws's close code and reason. */
const handshakeTimedOut = "Opening handshake has timed out";
/** Longest message from the gateway. */
const messageBytesMax = 64 * 1024 * 1024;

interface Message {
  id?: unknown;
  result?: unknown;
  error?: { message: string; data?: { code?: string } };
  method?: string;
  params?: unknown;
}

interface Pending {
  resolve: (result: unknown) => void;
  reject: (error: HoldfastError) => void;
}

export interface SocketEvents {
  onNotification(method: string, params: unknown): void;
  /** Once, at the end. */
  onLost(why: HoldfastError): void;
}

export class GatewaySocket {
  readonly #ws: WebSocket;
  readonly #url: string;
  readonly #events: SocketEvents;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #heard = true;
  #beat: Timer | undefined;
  readonly closed: Promise<void>;

  private constructor(ws: WebSocket, url: string, events: SocketEvents) {
    this.#ws = ws;
    this.#url = url;
    this.#events = events;
    ws.on("message", (data) => this.#hear((data as Buffer).toString()));
    ws.on("ping", () => (this.#heard = true)).on("pong", () => (this.#heard = true));
    this.#beat = systemClock.every(pingMs, () => this.#checkHeartbeat());
    this.closed = new Promise((resolve) => {
      ws.once("close", (code, reason) => {
        this.#lose(code, reason.toString());
        resolve();
      });
    });
  }

  /** Throws `unauthorized` or `gateway_unreachable`. */
  static open(url: string, token: string, events: SocketEvents, trust: ConnectionOptions = {}): Promise<GatewaySocket> {
    const options = {
      ...trust,
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      handshakeTimeout: openMsMax,
      maxPayload: messageBytesMax,
    };
    const ws = new WebSocket(`${url.replace(/^http/, "ws")}/ws`, subprotocol, options);
    return new Promise((resolve, reject) => {
      const opened = () => {
        ws.off("error", failed).on("error", ignore);
        resolve(new GatewaySocket(ws, url, events));
      };
      const failed = (cause: Error) => {
        ws.off("open", opened);
        const isLate = cause.message === handshakeTimedOut;
        reject(isLate ? late(url, "the WebSocket's handshake", openMsMax, cause) : unreachable(url, cause));
      };
      ws.once("open", opened).once("error", failed);
      ws.once("unexpected-response", (request, response) => {
        ws.off("error", failed).on("error", ignore);
        request.destroy();
        const isRefused = response.statusCode === 401 || response.statusCode === 403;
        const message = `${url}: HTTP ${response.statusCode} instead of a WebSocket`;
        reject(new HoldfastError(isRefused ? "unauthorized" : "gateway_unreachable", message));
      });
    });
  }

  get open(): boolean {
    return this.#ws.readyState === WebSocket.OPEN;
  }

  call<N extends MethodName>(method: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#ws.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }), (error) => {
        if (error && this.#pending.delete(id)) reject(unreachable(this.#url, error));
      });
    });
  }

  /** Closes in order; resolves when closed. */
  async close(): Promise<void> {
    this.#ws.close(1000);
    await this.closed;
  }

  /** Ends without a close frame. */
  terminate(): void {
    this.#ws.terminate();
  }

  #hear(text: string): void {
    this.#heard = true;
    const message = parsed(text);
    // Not our protocol: open calls cannot be answered, so the connection ends.
    if (message === undefined) return this.terminate();
    if (message.method !== undefined) return this.#events.onNotification(message.method, message.params);
    const pending = this.#pending.get(message.id as number);
    if (pending === undefined) return;
    this.#pending.delete(message.id as number);
    const { error } = message;
    if (error === undefined) pending.resolve(message.result);
    else pending.reject(new HoldfastError(knownCode(error.data?.code), error.message));
  }

  #checkHeartbeat(): void {
    if (!this.#heard) return this.terminate();
    this.#heard = false;
    this.#ws.ping();
  }

  #lose(code: number, reason: string): void {
    this.#beat?.clear();
    const why = new HoldfastError(
      "gateway_unreachable",
      `${this.#url}: the connection was lost (${code}${reason === "" ? "" : ` ${reason}`}); whether the call was carried out is not known`,
    );
    for (const { reject } of this.#pending.values()) reject(why);
    this.#pending.clear();
    this.#events.onLost(why);
  }
}

/** "close" follows with the reason. */
function ignore(): void {}

function parsed(text: string): Message | undefined {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === "object" && message !== null ? message : undefined;
  } catch {
    return undefined;
  }
}
