/**
 * A client that reconnects, resumes its sessions and events, and reports what it cannot keep: a lost call fails, an
 * expired session is reported, a gap in the events throws.
 */
import { systemClock } from "../clock.ts";
import { systemRandom } from "../random.ts";
import { HoldfastError } from "../errors.ts";
import type { LifecycleName } from "../events.ts";
import type { MethodName, ParamsOf, ResultOf } from "../protocol/api/index.ts";
import { tokenOf, urlOf, type GatewayAddress } from "./address.ts";
import { EventIterator, type GatewayEvent } from "./events.ts";
import { GatewaySocket, type SocketEvents } from "./socket.ts";
import { trustOf } from "./trust.ts";

const retryMsMin = 50;
const retryMsMax = 2000;
const reconnectMsDefault = 60_000;

export interface ClientOptions extends GatewayAddress {
  /** How long to retry after a lost connection, in milliseconds; 60 s by default. */
  reconnectMs?: number;
  /** A session of this client could not be resumed: expired or ended. */
  onSessionLost?: (id: string) => void;
  /** Notifications other than events, such as `output`. */
  onNotification?: (method: string, params: unknown) => void;
}

export class HoldfastClient implements AsyncDisposable {
  readonly #options: ClientOptions;
  readonly #iterators = new Set<EventIterator>();
  readonly #sessions = new Set<string>();
  /** The connection, or the attempt to make one. */
  #socket: Promise<GatewaySocket>;
  /** The last event delivered. */
  #position: { stream: string; after: number } | undefined;
  #subscribed: Promise<unknown> | undefined;
  #newest = 0;
  #closed = false;

  private constructor(options: ClientOptions, socket: GatewaySocket | undefined) {
    this.#options = options;
    this.#socket = socket === undefined ? Promise.reject(ended()) : Promise.resolve(socket);
    this.#socket.catch(() => {}); // callers get the error
  }

  /** Throws `gateway_unreachable` or `unauthorized`. */
  static async connect(options: ClientOptions): Promise<HoldfastClient> {
    const client = new HoldfastClient(options, undefined);
    client.#socket = client.#open();
    await client.#socket;
    return client;
  }

  /** Makes a call, waiting during a reconnect. A call in flight when the connection breaks is not repeated. */
  async call<N extends MethodName>(method: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
    return (await this.#socket).call(method, params);
  }

  /** Opens a session for this client's life, resumed over each new connection. */
  async openSession(params: ParamsOf<"session.open"> = {}): Promise<ResultOf<"session.open">> {
    const session = await this.call("session.open", params);
    this.#sessions.add(session.id);
    return session;
  }

  /** Ends a session and all it owns. */
  async endSession(id: string): Promise<void> {
    this.#sessions.delete(id);
    await this.call("session.end", { id });
  }

  /**
   * Events from now on (`names`: only these), complete across reconnects; where that is impossible the iterator throws
   * `gap`.
   */
  async events(names?: readonly LifecycleName[]): Promise<AsyncIterableIterator<GatewayEvent> & AsyncDisposable> {
    const iterator = new EventIterator(names, (one) => this.#leave(one));
    this.#iterators.add(iterator);
    this.#subscribed ??= this.#socket.then((socket) => this.#subscribe(socket));
    try {
      await this.#subscribed;
    } catch (thrown) {
      this.#iterators.delete(iterator);
      this.#subscribed = undefined;
      throw thrown;
    }
    return iterator;
  }

  /** Closes: iterators end, sessions live on for their lease. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const iterator of this.#iterators) iterator.finish();
    const socket = await this.#socket.catch(() => undefined);
    await socket?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ── the connection ──

  #open(): Promise<GatewaySocket> {
    const events: SocketEvents = {
      onNotification: (method, params) => this.#notified(method, params),
      onLost: () => this.#lost(),
    };
    const url = urlOf(this.#options);
    return GatewaySocket.open(url, tokenOf(this.#options), events, trustOf(this.#options.state, url));
  }

  #lost(): void {
    if (this.#closed) {
      this.#socket = Promise.reject(ended());
    } else {
      this.#socket = this.#reconnect();
    }
    this.#socket.catch((thrown: unknown) => {
      for (const iterator of this.#iterators) iterator.finish(thrown as HoldfastError);
    });
  }

  async #reconnect(): Promise<GatewaySocket> {
    const deadline = systemClock.monotonic() + (this.#options.reconnectMs ?? reconnectMsDefault);
    for (let waitMs = retryMsMin; ; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      // Jitter: a restarted gateway must not get all clients in one instant.
      await systemClock.sleep(waitMs * (0.5 + systemRandom.fraction()));
      if (this.#closed) throw ended();
      try {
        const socket = await this.#open();
        await this.#resume(socket);
        return socket;
      } catch (thrown) {
        const isPassing =
          thrown instanceof HoldfastError && ["gateway_unreachable", "answer_late"].includes(thrown.code);
        if (!isPassing || systemClock.monotonic() > deadline) throw thrown;
      }
    }
  }

  async #resume(socket: GatewaySocket): Promise<void> {
    for (const id of this.#sessions) {
      try {
        await socket.call("session.resume", { id });
      } catch (thrown) {
        if (!(thrown instanceof HoldfastError) || thrown.code !== "session_unknown") throw thrown;
        this.#sessions.delete(id);
        this.#options.onSessionLost?.(id);
      }
    }
    if (this.#iterators.size === 0) this.#subscribed = undefined;
    else await this.#subscribeAgain(socket);
  }

  // ── events ──

  async #subscribe(socket: GatewaySocket): Promise<void> {
    this.#newest = 0;
    const { stream, last } = await socket.call("events.subscribe", {});
    // Delivers events that arrived in the same packet as the answer first.
    this.#position = { stream, after: Math.max(last, this.#newest) };
  }

  async #subscribeAgain(socket: GatewaySocket): Promise<void> {
    try {
      await socket.call("events.subscribe", this.#position ?? {});
    } catch (thrown) {
      if (!(thrown instanceof HoldfastError) || thrown.code !== "gap") throw thrown;
      this.#tellGap(thrown);
    }
  }

  #notified(method: string, params: unknown): void {
    if (method === "event") {
      const event = params as GatewayEvent;
      this.#newest = event.seq;
      if (this.#position !== undefined) this.#position.after = event.seq;
      for (const iterator of this.#iterators) iterator.push(event);
      return;
    }
    if (method === "events.gap")
      this.#tellGap(new HoldfastError("gap", "the gateway forgot events that this client had not read"));
    this.#options.onNotification?.(method, params);
  }

  /** Existing iterators have lost their position; the next one subscribes again. */
  #tellGap(gap: HoldfastError): void {
    for (const iterator of this.#iterators) iterator.finish(gap);
    this.#iterators.clear();
    this.#position = undefined;
    this.#subscribed = undefined;
  }

  #leave(iterator: EventIterator): void {
    this.#iterators.delete(iterator);
  }
}

function ended(): HoldfastError {
  return new HoldfastError("gateway_unreachable", "this client was closed");
}
