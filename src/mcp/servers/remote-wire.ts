/**
 * The wire to a remote MCP server: streamable HTTP, or the older pair of an event stream and an address to post to
 * (`sse`). Each request gets an answer: if the server sends none, an error that describes what happened.
 */
import type { OutgoingHttpHeaders } from "node:http";
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { Clock, Timer } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { EnvelopeError, readEnvelope, type Envelope } from "../wire/envelope.ts";
import type { Bearer } from "../../oauth/bearer.ts";
import { errorBody, rpcCode } from "../wire/json-rpc.ts";
import { heardInstead } from "../wire/unreadable.ts";
import { refusalOf, statelessHeaders, type RefusedRequest } from "./stateless-http.ts";
import type { Item } from "./handshake.ts";
import { ToolHeaders } from "./tool-headers.ts";
import type { ServerEvent } from "./event-parser.ts";
import { authorizedExchange, type Ongoing } from "./authorized.ts";
import type { ExchangeEvents } from "./exchange.ts";
import { OpenRequests } from "./open-requests.ts";
import { relist } from "./relisting.ts";
import { headersOf, sayGoodbye, versionIn, type RemoteSession } from "./remote-session.ts";
import { refusesSession, sessionError } from "./session-loss.ts";
import { findSseAddress, mayBeOlder } from "./sse-address.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** Requests to one remote server at one time; more are refused as for a server that does not keep up. */
const exchangesMax = 256;
/** Time for a server that refuses `initialize` to offer the older transport. */
const fallBackMs = 5000;
/** Waits before the listening stream is reopened: the first, and the longest. */
const retryMs = { first: 1000, most: 30_000 };

export interface RemoteParams {
  server: FrontServer;
  clock: Clock;
  messageBytesMax: number;
  /** Of a server with a login. */
  bearer: Bearer | undefined;
  /** Its tools, as far as known. */
  tools: Item[];
  log: Log;
}

export class RemoteWire implements Wire {
  readonly runId = undefined;
  readonly #params: RemoteParams;
  readonly #events: WireEvents;
  readonly #live = new Set<Ongoing>();
  readonly #open: OpenRequests;
  readonly #toolHeaders: ToolHeaders;
  #isSse: boolean;
  #isFallenBack = false;
  /** Of the last request: a stateless server takes the end of a connection as cancellation. */
  #isStateless = false;
  #url: URL;
  readonly #session: RemoteSession = { id: undefined, version: undefined };
  #retry: Timer | undefined;
  #retryMs = retryMs.first;
  #closing: Promise<void> | undefined;
  #closed = false;

  /** Rejects when an `sse` server is unreachable; streamable HTTP connects with its first request. */
  static async open(params: RemoteParams, events: WireEvents): Promise<RemoteWire> {
    const wire = new RemoteWire(params, events);
    const { connectionTimeoutMs: ms, name } = params.server;
    if (!wire.#isSse) return wire;
    await wire.#findAddress(ms === 0 ? 2_147_483_647 : ms).catch((thrown: Error) => {
      wire.#lost(thrown.message);
      const message = `MCP server ${JSON.stringify(name)} at ${wire.#url.origin}: ${thrown.message}`;
      throw new HoldfastError("server_down", message);
    });
    return wire;
  }

  private constructor(params: RemoteParams, events: WireEvents) {
    this.#params = params;
    this.#events = events;
    const { server, tools, log, clock } = params;
    this.#open = new OpenRequests(clock);
    this.#toolHeaders = new ToolHeaders(tools, (tool, why) =>
      log("mcp.tool_unlisted", { server: server.name, tool, why }),
    );
    this.#isSse = server.kind === "sse";
    this.#url = new URL(server.url ?? "");
  }

  send(line: Buffer): boolean {
    if (this.#closed || this.#live.size >= exchangesMax) return false;
    const envelope = readEnvelope(line);
    if (envelope.method === "notifications/cancelled" && this.#cancel(envelope, line)) return true;
    this.#post(envelope, line);
    return true;
  }

  #post(envelope: Envelope, line: Buffer, isAgain = false): void {
    const id = envelope.kind === "request" ? line.toString("latin1", envelope.idStart, envelope.idEnd) : undefined;
    let isAnswered = id === undefined || this.#isSse;
    let said = "";
    const isStateless = envelope.versionStart > 0;
    if (id !== undefined) this.#isStateless = isStateless;
    const mirrored = isStateless ? this.#toolHeaders.of(envelope, line) : {};
    const more = isStateless ? { ...statelessHeaders(envelope, line), ...mirrored } : {};
    const request = this.#exchange("POST", line, more, {
      onRefusal: (words) => {
        said = words;
        const refused = isStateless && id !== undefined ? refusalOf(words, id) : undefined;
        if (refused === undefined) return;
        isAnswered = true;
        const isStale = refused.code === rpcCode.headerMismatch && envelope.method === "tools/call" && !isAgain;
        if (isStale) this.#again(envelope, line, mirrored, refused);
        else this.#events.onLine(refused.line, () => {});
      },
      onHead: ({ headers }) => {
        const session = headers["mcp-session-id"];
        if (typeof session === "string") this.#session.id ??= session;
      },
      onEvent: (event, release) => {
        const isList = isStateless && envelope.method === "tools/list" && event.name === "message";
        const heard = isList ? { ...event, data: this.#toolHeaders.hear(event.data) } : event;
        isAnswered ||= this.#hear(heard, release, id) === id;
      },
      onEnd: (problem, status) => {
        this.#open.over(key, request);
        if (!this.#isStateless && refusesSession(this.#session, status, said))
          return this.#lost(`has ended our session (${problem ?? status})`);
        if (id !== undefined && !this.#isSse && !this.#isFallenBack && mayBeOlder(envelope, status))
          return this.#fallBack(envelope, line, id, problem ?? `HTTP ${status}`);
        if (!isAnswered || (problem !== undefined && id !== undefined && this.#isSse))
          this.#answerFor(id ?? "null", problem ?? "it ended its answer without one");
        else if (envelope.method === "notifications/initialized" && !this.#isSse) this.#listen();
      },
    });
    const key = this.#open.add(id, request);
  }

  /** The server expects other headers, so its tools may have changed: fetches them, once per call. */
  #again(envelope: Envelope, line: Buffer, sent: OutgoingHttpHeaders, refused: RefusedRequest): void {
    const post = (body: Buffer, headers: OutgoingHttpHeaders, events: ExchangeEvents) =>
      this.#exchange("POST", body, headers, events);
    relist({ toolHeaders: this.#toolHeaders, open: this.#open, post }, envelope, line, () => {
      const isSame = JSON.stringify(this.#toolHeaders.of(envelope, line)) === JSON.stringify(sent);
      if (this.#closed) return;
      if (isSame) return this.#events.onLine(refused.line, () => {});
      this.#post(envelope, line, true);
      // The known tools are out of date.
      this.#events.onLine(Buffer.from('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'), () => {});
    });
  }

  /** True: the server need not be told. */
  #cancel({ requestStart, requestEnd }: Envelope, line: Buffer): boolean {
    const id = line.toString("latin1", requestStart, requestEnd);
    if (this.#isStateless) return this.#open.end(id);
    this.#open.cancelled(id);
    return false;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#lost("was let go");
    if (this.#session.id === undefined) return;
    const { bearer, server, clock } = this.#params;
    const token = bearer?.atHand ?? undefined;
    const headers = headersOf(this.#session, "DELETE", server.headers);
    await sayGoodbye(
      this.#url,
      token === undefined ? headers : { ...headers, authorization: `Bearer ${token}` },
      clock,
    );
  }

  async #findAddress(boundMs: number): Promise<void> {
    this.#url = await findSseAddress({
      url: this.#url,
      clock: this.#params.clock,
      boundMs,
      get: (events) => this.#exchange("GET", undefined, {}, events),
      onEvent: (event, release) => void this.#hear(event, release),
      onOver: (why) => this.#lost(why),
    });
  }

  /** The server refuses `initialize` here: tries the older transport, which the config need not name. */
  #fallBack(envelope: Envelope, line: Buffer, id: string, problem: string): void {
    this.#isFallenBack = true;
    this.#findAddress(fallBackMs).then(
      () => {
        this.#isSse = true;
        this.#post(envelope, line);
      },
      (thrown: Error) => this.#answerFor(id, `${problem}; tried as \`"type": "sse"\`, too: ${thrown.message}`),
    );
  }

  /** Opens the stream of unsolicited messages. A server without one answers 405. */
  #listen(): void {
    if (this.#closed) return;
    let said = "";
    this.#exchange(
      "GET",
      undefined,
      {},
      {
        onHead: ({ statusCode }) => {
          if (statusCode === 200) this.#retryMs = retryMs.first;
        },
        onEvent: (event, release) => void this.#hear(event, release),
        onRefusal: (words) => (said = words),
        onEnd: (problem, status) => {
          if (status === 405 || this.#closed) return;
          if (!this.#isStateless && refusesSession(this.#session, status, said))
            return this.#lost(`has ended our session (${problem ?? status})`);
          this.#retry = this.#params.clock.after(this.#retryMs, () => this.#listen());
          this.#retryMs = Math.min(this.#retryMs * 2, retryMs.most);
        },
      },
    );
  }

  /** Passes a message on; returns the id that it answers. `asked`: the request of its response. */
  #hear({ name, data }: ServerEvent, release: () => void, asked?: string): string | undefined {
    if (this.#closed || name !== "message") {
      release();
      return undefined;
    }
    let envelope: Envelope;
    try {
      envelope = readEnvelope(data);
    } catch (thrown) {
      if (!(thrown instanceof EnvelopeError)) throw thrown;
      const { lines, answered } = heardInstead(data, thrown.message, this.#params.server.name, asked);
      for (const line of lines) this.#events.onLine(line, () => {});
      release();
      if (answered !== undefined) this.#open.answered(answered);
      return answered;
    }
    const forgotten = this.#session.id === undefined ? undefined : sessionError(envelope, data);
    if (forgotten !== undefined) {
      release();
      this.#lost(`has ended our session (${forgotten})`);
      return undefined;
    }
    const isAnswer = envelope.kind === "response";
    const id = isAnswer ? data.toString("latin1", envelope.idStart, envelope.idEnd) : undefined;
    if (id !== undefined) this.#open.answered(id);
    // Until the answer to `initialize`, which is short, has told the version.
    if (isAnswer) this.#session.version ??= versionIn(data);
    this.#events.onLine(data, release);
    return id;
  }

  #answerFor(id: string, problem: string): void {
    if (this.#closed) return;
    const message = `MCP server ${JSON.stringify(this.#params.server.name)} at ${this.#url.origin}: ${problem}`;
    this.#events.onLine(errorBody(id, { code: rpcCode.unavailable, message, reason: "server_down" }), () => {});
  }

  #exchange(
    method: "POST" | "GET",
    body: Buffer | undefined,
    more: OutgoingHttpHeaders,
    events: ExchangeEvents,
  ): Ongoing {
    const { messageBytesMax, bearer, clock, server } = this.#params;
    const parts = {
      method,
      url: this.#url,
      headers: { ...headersOf(this.#session, method, server.headers), ...more },
      messageBytesMax,
      clock,
    };
    const whole = body === undefined ? parts : { ...parts, body };
    const request = authorizedExchange(whole, events, bearer, () => this.#live.delete(request));
    this.#live.add(request);
    return request;
  }

  #lost(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#retry?.clear();
    for (const request of this.#live) request.destroy();
    this.#events.onClosed(`MCP server ${JSON.stringify(this.#params.server.name)} at ${this.#url.origin} ${why}`);
  }
}
