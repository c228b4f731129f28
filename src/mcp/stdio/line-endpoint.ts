/**
 * MCP as lines over one socket, the transport of `holdfast mcp` for a stdio client. A session begins with `initialize`,
 * or serves a stateless client; it ends with the socket, at once, because the kernel closes the socket however its
 * process ends. A separate byte marks the end of input alone: pending requests are then answered first.
 */
import type { Duplex } from "node:stream";
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import { GatheredBytes } from "../../gathered-bytes.ts";
import type { Timer } from "../../clock.ts";
import { endOfInput } from "../../end-of-input.ts";
import type { SessionSet } from "../../sessions/set.ts";
import { isBatch, readBatch, serveBatch } from "../wire/batch.ts";
import { Call, callParams, type CallOwner, type CallParams } from "../wire/call.ts";
import type { Received } from "../http/receive.ts";
import { EnvelopeError, readEnvelope, type Envelope } from "../wire/envelope.ts";
import { statelessVersion } from "../wire/headers.ts";
import { errorBody, rpcCode } from "../wire/json-rpc.ts";
import { withoutMark } from "../wire/salvage.ts";
import { downFault } from "../wire/faults.ts";
import { answerItself } from "../session/session-client.ts";
import type { AggregateSession } from "../session/aggregate-session.ts";
import { clientOf, readIntroduction } from "../session/introduction.ts";
import { notOffered } from "../session/bindings.ts";
import { LineReply, LineStream, lineFraming, overLine } from "./line-reply.ts";
import { saysStateless, StatelessLines, type StdioOrigin } from "./stateless-lines.ts";
import { StatelessService, type ServiceParts } from "../stateless/service.ts";

const newline = 0x0a;
/** Time for requests in flight after the client's end of input. */
const answersMsMax = 60_000;

export interface LineEndpointParts extends ServiceParts {
  sessions: SessionSet;
  messageBytesMax: number;
}

export class LineEndpoint {
  readonly #parts: LineEndpointParts;
  readonly #service: StatelessService;

  constructor(parts: LineEndpointParts) {
    this.#parts = parts;
    this.#service = new StatelessService(parts);
  }

  /** `head`: bytes that followed the upgrade request. */
  join(socket: Duplex, head: Buffer, origin: StdioOrigin): void {
    const stdioClient = new StdioClient(this.#parts, this.#service, socket, origin);
    if (head.length > 0) stdioClient.take(head);
    socket.on("data", (chunk: Buffer) => {
      stdioClient.take(chunk);
      if (!stdioClient.isBehind) return;
      // Every message may produce an answer, so a client that does not read is not read from.
      socket.pause().once("drain", () => socket.resume());
    });
    // The client's end of its side ends everything, as the end of stdin ends a stdio server.
    socket.once("end", () => stdioClient.leave()).once("close", () => stdioClient.leave());
    socket.on("error", () => {}); // "close" follows
  }
}

class StdioClient {
  readonly #parts: LineEndpointParts;
  readonly #service: StatelessService;
  readonly #socket: Duplex;
  readonly #origin: StdioOrigin;
  readonly #stream: LineStream;
  /** Of an incomplete line. */
  readonly #begun = new GatheredBytes();
  /** The first request fixes the connection's revision; `server/discover` leaves the choice open. */
  #open: AggregateSession | undefined;
  #stateless: StatelessLines | undefined;
  /** Set from the end of input on. */
  #patience: Timer | undefined;

  constructor(parts: LineEndpointParts, service: StatelessService, socket: Duplex, origin: StdioOrigin) {
    this.#parts = parts;
    this.#service = service;
    this.#socket = socket;
    this.#origin = origin;
    this.#stream = new LineStream(socket);
  }

  get isBehind(): boolean {
    return this.#stream.isBehind;
  }

  take(chunk: Buffer): void {
    if (this.#patience !== undefined) return; // after its end of input
    const isLast = chunk.at(-1) === endOfInput;
    this.#takeLines(isLast ? chunk.subarray(0, -1) : chunk);
    if (!isLast) return;
    // The last line may lack its newline.
    if (this.#begun.length > 0) this.#hear(this.#begun.take());
    this.#finish();
  }

  #takeLines(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
      this.#begun.add(chunk.subarray(from, at));
      from = at + 1;
      if (this.#begun.length > 0) this.#hear(this.#begun.take());
    }
    this.#begun.add(chunk.subarray(from));
    if (this.#begun.length > this.#parts.messageBytesMax) this.#refuseLine(-32_600, this.#tooLong(), true);
  }

  leave(): void {
    this.#patience?.clear();
    void this.#open?.session.close("session-ended"); // the session set logs what cannot be ended
    this.#stateless?.leave();
    this.#socket.destroy();
  }

  /** After the end of input: answers pending requests, then ends the session and the connection. */
  #finish(): void {
    const [open, stateless] = [this.#open, this.#stateless];
    this.#patience = this.#parts.clock.after(answersMsMax, () => this.leave());
    open?.client.refuseQuestions();
    if (open !== undefined) return open.client.whenQuiet(() => void open.session.close("session-ended"));
    if (stateless === undefined) return this.#stream.end();
    stateless.whenQuiet(() => {
      stateless.leave();
      this.#stream.end();
    });
  }

  #hear(bytes: Buffer): void {
    const line = withoutMark(bytes);
    if (this.#open?.takesBatches === true && isBatch(line)) return this.#hearAll(this.#open, line);
    let envelope: Envelope;
    try {
      if (line.length > this.#parts.messageBytesMax) throw new EnvelopeError(-32_600, this.#tooLong());
      envelope = readEnvelope(line);
    } catch (thrown) {
      if (!(thrown instanceof EnvelopeError)) throw thrown;
      return this.#refuseLine(thrown.fault, thrown.message, false);
    }
    // The chunk's memory is never reused, so a line may be kept without a copy.
    if (this.#open === undefined) {
      if (this.#stateless?.wants(envelope) !== true && !saysStateless(envelope)) return this.#begin(envelope, line);
      const { manager, sessions } = this.#parts;
      const given = { manager, sessions, service: this.#service, stream: this.#stream, origin: this.#origin };
      this.#stateless ??= new StatelessLines(given);
      return this.#stateless.take(envelope, line);
    }
    if (envelope.kind === "request") {
      const call = new Call(this.#callParams(envelope, line), new LineReply(this.#stream), this.#open.client);
      return this.#open.request(call, envelope, line);
    }
    // If the server takes no input, notifications and responses are dropped: neither has an answer.
    if (envelope.kind === "response") this.#open.respond(envelope, line);
    else this.#open.notify(envelope, line);
  }

  #hearAll(open: AggregateSession, line: Buffer): void {
    let messages: Received[];
    try {
      messages = readBatch(line);
    } catch (thrown) {
      if (!(thrown instanceof EnvelopeError)) throw thrown;
      return this.#refuseLine(thrown.fault, thrown.message, false);
    }
    serveBatch(messages, overLine(this.#stream), {
      params: (envelope, body) => this.#callParams(envelope, body),
      request: (call, envelope, body) => open.request(call, envelope, body),
      other: (envelope, body) =>
        void (envelope.kind === "response" ? open.respond(envelope, body) : open.notify(envelope, body)),
      owner: open.client,
    });
  }

  #begin(envelope: Envelope, line: Buffer): void {
    if (envelope.kind !== "request") return; // other messages have no meaning yet
    const owner: CallOwner = { done: (done) => this.#open?.client.done(done), abandon() {} };
    const call = new Call(this.#callParams(envelope, line), new LineReply(this.#stream), owner);
    if (envelope.method === "ping") return call.answer(pong(call.params.clientId), [], () => {});
    if (envelope.method !== "initialize") {
      const message = `a session begins with an initialize request; revision ${statelessVersion} has none, but names itself in each request's _meta`;
      return call.fail({ code: rpcCode.invalidRequest, message, reason: "invalid_params" });
    }
    this.#stateless?.leave();
    this.#stateless = undefined;
    const { manager, sessions } = this.#parts;
    try {
      const introduction = readIntroduction(line);
      const client = clientOf(introduction);
      const { label } = this.#origin.selection;
      const { parentId, caller } = this.#origin;
      // The config may have been reloaded since the request arrived.
      const selection = manager.servers.select(label ?? undefined);
      if (selection === undefined) throw new HoldfastError("server_unknown", notOffered(label ?? ""));
      const session = sessions.open({ kind: "stdio", client, server: selection.label, parentId }, caller);
      const open = manager.create(session, selection, introduction, { framing: lineFraming });
      this.#open = open;
      session.lease.hold();
      session.onEnd(() => this.#stream.end());
      open.client.listen(this.#stream);
      open.client.begin(call);
      void this.#introduce(open, call);
    } catch (thrown) {
      const { message, code } = asHoldfastError(thrown);
      call.fail({ code: rpcCode.unavailable, message, reason: code });
      this.#stream.end();
    }
  }

  async #introduce(open: AggregateSession, call: Call): Promise<void> {
    try {
      answerItself(call, JSON.stringify(await open.introduce()));
    } catch (thrown) {
      call.fail(downFault(thrown));
      void open.session.close("spawn-failed"); // the session set logs what cannot be ended
    }
  }

  #callParams(envelope: Envelope, line: Buffer): CallParams {
    const { manager, clock } = this.#parts;
    const { scopes } = this.#origin.caller;
    return callParams(envelope, line, { number: manager.numbers.next(), startedAt: clock.monotonic(), scopes });
  }

  #tooLong(): string {
    return `the message is longer than limits.messageBytesMax = ${this.#parts.messageBytesMax} bytes`;
  }

  #refuseLine(code: number, message: string, isFatal: boolean): void {
    const body = errorBody(undefined, { code, message, reason: "invalid_params" });
    this.#stream.answer(Buffer.concat([body, Buffer.from("\n")]), () => {});
    if (isFatal) this.leave();
  }
}

function pong(id: string): Buffer {
  return Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":{}}`, "latin1");
}
