/**
 * One TCP connection from accept to release, HTTP and WebSocket alike. It has a state, a deadline in every state but
 * `open`, one way to end, and is released for certain: what does not end in order within `closingMs` is reset.
 */
import type { Socket } from "node:net";
import type { FrontConfig } from "../../keeper/protocol/messages.ts";

export const connectionStates = ["accepted", "authenticating", "open", "closing", "closed"] as const;
export type ConnectionState = (typeof connectionStates)[number];

/** Why a connection ended. The first reason given is the one that counts. */
const closeReasons = [
  "client-left", // the other side ended it, or its machine did
  "head-timeout", // no whole request in time
  "auth-timeout", // not proven in time
  "unauthorized", // refused: token, Host or Origin
  "bad-request", // not HTTP, or not a WebSocket handshake
  "protocol-error", // frames that break RFC 6455, or messages that are not ours
  "too-large", // a frame, message or head above its limit
  "idle", // an HTTP connection without a request
  "no-heartbeat", // a WebSocket that answered no ping
  "unheard", // acknowledges nothing: its machine or line is gone
  "slow-consumer", // took too little of what was sent to it
  "crowded", // the gateway has as many as it may have
  "revoked", // its token, or its approval as a node, is valid no more
  "replaced", // its node came back over another connection
  "shutdown",
] as const;
export type CloseReason = (typeof closeReasons)[number];

/** The HTTP parser's own timeout comes first, and answers 408; this one is for what it does not see, a TLS handshake say. */
const headSlack = 1.4;

export type ConnectionLimits = FrontConfig["connections"];

/** What a WebSocket adds to the judgement of its connection. */
export interface Judged {
  ping(): void;
  /** Says in a close frame that this is the end. */
  farewell(): void;
  /** True once either side has begun to close. */
  readonly leaving: boolean;
  /** True while we do not read what the client says: then its silence proves nothing. */
  readonly paused: boolean;
}

/** As the runtime's own timeouts do, the bytes that the kernel has not taken yet; there is no public word for it. */
interface WithHandle {
  _handle?: { writeQueueSize?: number } | null;
}

/** Where a socket's Connection hangs: a property costs nothing on each request, where a map would. */
const key = Symbol("connection");
interface Keyed {
  [key]?: Connection;
  /** A TLS socket's raw one. */
  _parent?: Keyed;
}

/** The connection of a request's socket, TLS or not. */
export function connectionOf(socket: Socket): Connection | undefined {
  const keyed = socket as Keyed;
  const known = keyed[key] ?? keyed._parent?.[key];
  if (known !== undefined) keyed[key] = known;
  return known;
}

export class Connection {
  /** The raw TCP socket, also under TLS: only that one can be reset. */
  readonly socket: Socket;
  readonly address: string;
  state: ConnectionState = "accepted";
  kind: "http" | "websocket" = "http";
  reason: CloseReason | undefined;
  readonly limits: ConnectionLimits;
  readonly #onState: (connection: Connection, before: ConnectionState) => void;
  /** Loop time at which the present state must be over; Infinity in `open`. */
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

  /** A request is there, or a WebSocket, of which nobody knows yet who sent it. */
  authenticate(now: number): void {
    if (this.state !== "accepted") return;
    this.#deadline = now + this.limits.authMs;
    this.#move("authenticating");
  }

  /** Its client has proven who it is. */
  open(): void {
    if (this.state !== "accepted" && this.state !== "authenticating") return;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#move("open");
  }

  becomeWebSocket(judged: Judged): void {
    this.kind = "websocket";
    this.#judged = judged;
  }

  /** `listener` runs once when the end begins. */
  onClosing(listener: () => void): void {
    if (this.state === "closing" || this.state === "closed") listener();
    else this.#forget = listener;
  }

  /**
   * The one way to end. With `farewell` the other side is told in its own language and has `closingMs` to go; without,
   * or when that is over, the connection is reset: an orderly end would wait for a side that may never answer.
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

  /** Looks at deadlines, heartbeat and the queue of what it was sent; `now` is loop time. */
  check(now: number): void {
    if (now >= this.#deadline) return this.#overdue(now);
    if (this.state !== "open") return;
    const queued = (this.socket as WithHandle)._handle?.writeQueueSize ?? this.socket.writableLength;
    if (queued === 0) this.#queuedSince = undefined;
    else if (queued !== this.#queued) this.#queuedSince = now;
    else if (now - (this.#queuedSince ??= now) >= this.limits.slowMs) return this.close("slow-consumer", now);
    this.#queued = queued;
    if (this.#judged === undefined) return;
    // Its close frame came; now the socket has to go as well.
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
    // Whoever still reads sees an orderly end; who does not is reset when `closingMs` are over.
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

/** A socket that breaks is told by "close"; without this listener it would end the process. */
function ignore(): void {}

/** One name for one client: `::ffff:127.0.0.1`, `127.0.0.1` and `::1` are all this machine; an IPv6 client is its /64. */
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
