/**
 * One TCP connection (HTTP or WebSocket) from accept to release, with a deadline in every state but `open`. What does
 * not close within `closingMs` is reset.
 */
import type { FrontConfig } from "../../protocol/keeper/front-config.ts";
import type { Socket } from "node:net";

export const connectionStates = ["accepted", "authenticating", "open", "closing", "closed"] as const;
export type ConnectionState = (typeof connectionStates)[number];

/** Why a connection ended; the first reason counts. */
const closeReasons = [
  "client-left", // ended by the client or its machine
  "head-timeout", // no whole request in time
  "auth-timeout", // not authenticated in time
  "unauthorized", // refused: token, Host or Origin
  "bad-request", // not HTTP, or not a WebSocket handshake
  "protocol-error", // invalid frames or messages
  "too-large", // over a size limit
  "idle", // idle HTTP connection
  "no-heartbeat", // ping unanswered
  "unheard", // no TCP acknowledgements
  "slow-consumer", // reads too slowly
  "crowded", // connection limit
  "revoked", // token or node approval no longer valid
  "replaced", // the node reconnected
  "shutdown",
] as const;
export type CloseReason = (typeof closeReasons)[number];

/** The HTTP parser's timeout comes first (408); this covers what it does not see, such as TLS handshakes. */
const headSlack = 1.4;

export type ConnectionLimits = FrontConfig["connections"];

/** WebSocket state that its connection needs. */
export interface Judged {
  ping(): void;
  /** Sends a close frame. */
  farewell(): void;
  /** Whether either side has begun to close. */
  readonly leaving: boolean;
  /** Whether reading is paused: then silence proves nothing. */
  readonly paused: boolean;
}

/** Bytes the kernel has not taken yet; no public API exists. */
interface WithHandle {
  _handle?: { writeQueueSize?: number } | null;
}

/** Property with a socket's Connection, cheaper than a map on each request. */
const key = Symbol("connection");
interface Keyed {
  [key]?: Connection;
  /** The raw socket of a TLS socket. */
  _parent?: Keyed;
}

/** The Connection of a request's socket, TLS or not. */
export function connectionOf(socket: Socket): Connection | undefined {
  const keyed = socket as Keyed;
  const known = keyed[key] ?? keyed._parent?.[key];
  if (known !== undefined) keyed[key] = known;
  return known;
}

export class Connection {
  /** The raw TCP socket, since only that can be reset. */
  readonly socket: Socket;
  readonly address: string;
  state: ConnectionState = "accepted";
  kind: "http" | "websocket" = "http";
  reason: CloseReason | undefined;
  readonly limits: ConnectionLimits;
  readonly #onState: (connection: Connection, before: ConnectionState) => void;
  /** Deadline of the state in loop time; Infinity in `open`. */
  #deadline: number;
  #judged: Judged | undefined;
  #heardBytes = 0;
  #heardAt: number;
  #pingedAt: number | undefined;
  #queued = 0;
  #queuedSince: number | undefined;
  #forget: (() => void) | undefined;

  constructor(
    socket: Socket,
    limits: ConnectionLimits,
    now: number,
    onState: (connection: Connection, before: ConnectionState) => void,
  ) {
    this.socket = socket;
    this.address = normalAddress(socket.remoteAddress);
    this.limits = limits;
    this.#onState = onState;
    this.#heardAt = now;
    this.#deadline = now + limits.headMs * headSlack;
    (socket as Keyed)[key] = this;
    socket.on("error", ignore).once("close", () => this.#move("closed"));
  }

  get proven(): boolean {
    return this.state === "open";
  }

  /** A request or WebSocket arrived, not yet authenticated. */
  authenticate(now: number): void {
    if (this.state !== "accepted") return;
    this.#deadline = now + this.limits.authMs;
    this.#move("authenticating");
  }

  /** The client is authenticated. */
  open(): void {
    if (this.state !== "accepted" && this.state !== "authenticating") return;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#move("open");
  }

  becomeWebSocket(judged: Judged): void {
    this.kind = "websocket";
    this.#judged = judged;
  }

  /** `listener` runs once when closing begins. */
  onClosing(listener: () => void): void {
    if (this.state === "closing" || this.state === "closed") listener();
    else this.#forget = listener;
  }

  /**
   * Closes the connection. With `farewell` the client gets a protocol-level goodbye and `closingMs`; then, or without,
   * it is reset, since an orderly end may never be answered.
   */
  close(reason: CloseReason, now: number, farewell?: () => void, closingMs = this.limits.closingMs): void {
    if (this.state === "closing" || this.state === "closed") return;
    this.reason = reason;
    this.#deadline = now + closingMs;
    this.#move("closing");
    if (farewell === undefined) this.reset();
    else farewell();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Checks deadlines, heartbeat and unsent bytes; `now` is loop time. */
  check(now: number): void {
    if (now >= this.#deadline) return this.#overdue(now);
    if (this.state !== "open") return;
    const queued = (this.socket as WithHandle)._handle?.writeQueueSize ?? this.socket.writableLength;
    if (queued === 0) this.#queuedSince = undefined;
    else if (queued !== this.#queued) this.#queuedSince = now;
    else if (now - (this.#queuedSince ??= now) >= this.limits.slowMs) return this.close("slow-consumer", now);
    this.#queued = queued;
    if (this.#judged === undefined) return;
    // The close frame arrived; now the socket must end.
    if (this.#judged.leaving) return this.close("client-left", now, ignore);
    if (!this.#judged.paused) this.#checkHeartbeat(this.#judged, now);
  }

  #checkHeartbeat(judged: Judged, now: number): void {
    const { bytesRead } = this.socket;
    if (bytesRead !== this.#heardBytes) {
      this.#heardBytes = bytesRead;
      this.#heardAt = now;
      this.#pingedAt = undefined;
    } else if (this.#pingedAt !== undefined) {
      if (now - this.#pingedAt >= this.limits.heartbeatGraceMs) this.close("no-heartbeat", now);
    } else if (now - this.#heardAt >= this.limits.heartbeatMs) {
      this.#pingedAt = now;
      judged.ping();
    }
  }

  #overdue(now: number): void {
    if (this.state === "closing") return this.reset();
    const { state } = this;
    // Active readers see an orderly end, others a reset after `closingMs`.
    this.close(state === "accepted" ? "head-timeout" : "auth-timeout", now, () => {
      if (this.#judged === undefined) this.socket.end();
      else this.#judged.farewell();
    });
  }

  #move(state: ConnectionState): void {
    const before = this.state;
    if (before === state) return;
    this.state = state;
    if (state === "closing" || state === "closed") {
      this.#forget?.();
      this.#forget = undefined;
    }
    this.#onState(this, before);
  }
}

/** "close" reports broken sockets; without this listener an error would end the process. */
function ignore(): void {}

/** One name per client: all loopback addresses are one, an IPv6 client is its /64. */
export function normalAddress(address: string | undefined): string {
  if (address === undefined) return "gone";
  const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
  if (plain === "::1" || plain.startsWith("127.")) return "loopback";
  return plain.includes(":") ? networkOf(plain) : plain;
}

function networkOf(address: string): string {
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => "0");
  return `${[...left, ...zeros, ...right].slice(0, 4).join(":")}::/64`;
}
