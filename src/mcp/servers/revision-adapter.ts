/**
 * Adapts a session-based upstream to a server that may be stateless. Until the server is known to be stateless, lines
 * pass unchanged. Then each request carries all client metadata, changes come over a listening request, and the
 * server's questions (`input_required`) become requests of a session-based revision, with the answers sent along when
 * the request is repeated. A stateless client is passed through.
 */
import type { EndReason } from "../../protocol/run.ts";
import type { Clock } from "../../clock.ts";
import type { ErrorCode } from "../../errors.ts";
import type { SentIds } from "../../protocol/keeper/linked-run.ts";
import type { ScopeClosed } from "../../ownership/scope.ts";
import { asciiText, errorBody, rpcCode, numberAt } from "../wire/json-rpc.ts";
import { EnvelopeError, readEnvelope, type Envelope } from "../wire/envelope.ts";
import { unreadableAnswer } from "../wire/faults.ts";
import { statelessVersion } from "../wire/headers.ts";
import type { Numbers } from "../wire/numbers.ts";
import { asText, salvage } from "../wire/salvage.ts";
import { splice, type Edit } from "../wire/splice.ts";
import type { InitializeResult, Introduction } from "./handshake.ts";
import { ServerListener } from "./server-listener.ts";
import { InputRequiredLoop } from "./input-required-loop.ts";
import type { Legacy, Wire, WireEvents } from "./wire.ts";

export interface RevisionAdapterParams {
  server: string;
  introduction: Introduction;
  numbers: Numbers;
  clock: Clock;
}

/** Capabilities of a client in the stateless revision. */
const capabilityNames = ["experimental", "sampling", "elicitation", "extensions"];

export class RevisionAdapter implements Wire, WireEvents {
  readonly #params: RevisionAdapterParams;
  readonly #events: WireEvents;
  #inner: Wire | undefined;
  /** Set once the server is known to be stateless. */
  #listener: ServerListener | undefined;
  #rounds: InputRequiredLoop | undefined;
  #logLevel: string | undefined;
  /** The `_meta` for requests without one. */
  readonly #meta: string;

  constructor(params: RevisionAdapterParams, events: WireEvents) {
    this.#params = params;
    this.#events = events;
    this.#meta = asciiText(this.#metadata()).slice(1, -1);
  }

  attach(inner: Wire): void {
    this.#inner = inner;
  }

  get runId(): string | undefined {
    return this.#inner?.runId;
  }

  get legacy(): Legacy | undefined {
    return this.#inner?.legacy;
  }

  /** The server is stateless and has these capabilities. */
  become({ capabilities }: InitializeResult): void {
    const { numbers, clock, introduction } = this.#params;
    const say = (message: object) => this.#send(Buffer.from(JSON.stringify(message)));
    this.#listener = new ServerListener({ numbers, clock, capabilities, say });
    this.#listener.begin();
    // A stateless client answers the server's questions itself.
    if (introduction.protocolVersion === statelessVersion) return;
    const events = this.#events;
    this.#rounds = new InputRequiredLoop({ numbers, clock, events, send: (line) => this.#inner?.send(line) ?? false });
  }

  // ── to the server ──

  send(line: Buffer, ids?: SentIds): boolean {
    if (this.#listener === undefined) return this.#inner?.send(line, ids) ?? false;
    return this.#send(line, ids);
  }

  close(reason: EndReason): Promise<ScopeClosed | void> {
    this.#listener?.close();
    return this.#inner?.close(reason) ?? Promise.resolve();
  }

  #send(line: Buffer, ids?: SentIds): boolean {
    const envelope = readEnvelope(line);
    if (envelope.kind === "response") {
      this.#rounds?.answered(envelope, line);
      return true;
    }
    if (envelope.kind === "notification") return this.#notify(envelope, line);
    switch (envelope.method) {
      case "ping":
        return this.#answer(envelope, line, "{}");
      case "logging/setLevel":
        this.#logLevel = (JSON.parse(line.toString("utf8")) as { params?: { level?: string } }).params?.level;
        return this.#answer(envelope, line, "{}");
      case "resources/subscribe":
      case "resources/unsubscribe":
        return this.#subscribe(envelope, line);
      default: {
        if (envelope.hasOddParams) return this.#refuse(envelope, line, "params or params._meta is not an object");
        const whole = envelope.versionStart > 0 ? line : splice(line, [this.#metaEdit(envelope, line)]);
        if (!(this.#inner?.send(whole, ids) ?? false)) return false;
        this.#rounds?.sent(envelope, line, whole);
        return true;
      }
    }
  }

  /** A stateless server receives only cancellations. */
  #notify(envelope: Envelope, line: Buffer): boolean {
    if (envelope.method !== "notifications/cancelled") return true;
    const number = numberAt(line, envelope.requestStart, envelope.requestEnd);
    const now = this.#rounds?.cancel(number) ?? number;
    if (Number.isNaN(now)) return true; // it is with the client, not with the server
    const { requestStart: start, requestEnd: end } = envelope;
    return this.#inner?.send(splice(line, [{ start, end, text: String(now) }])) ?? false;
  }

  #subscribe(envelope: Envelope, line: Buffer): boolean {
    const uri =
      envelope.uriStart > 0 ? (JSON.parse(line.toString("utf8", envelope.uriStart, envelope.uriEnd)) as string) : "";
    const isIn = envelope.method === "resources/subscribe";
    const id = line.toString("latin1", envelope.idStart, envelope.idEnd);
    this.#listener?.want(uri, isIn, (isTaken) => {
      if (isTaken) return this.#say(`{"jsonrpc":"2.0","id":${id},"result":{}}`);
      const error = { code: rpcCode.invalidParams, message: "the server tells of no changes of this resource" };
      this.#say(`{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(error)}}`);
    });
    return true;
  }

  /** Adds the missing metadata of a request. */
  #metaEdit({ metaStart, paramsStart }: Envelope, line: Buffer): Edit {
    const level = this.#logLevel;
    const more = level === undefined ? "" : `,"io.modelcontextprotocol/logLevel":${asciiText(level)}`;
    const meta = this.#meta + more;
    const at = metaStart > 0 ? metaStart : paramsStart > 0 ? paramsStart : line.indexOf(0x7b);
    const comma = isEmptyObject(line, at) ? "" : ",";
    const text = metaStart > 0 ? meta : paramsStart > 0 ? `"_meta":{${meta}}` : `"params":{"_meta":{${meta}}}`;
    return { start: at + 1, end: at + 1, text: text + comma };
  }

  #metadata(): Record<string, unknown> {
    const { clientInfo, capabilities } = this.#params.introduction;
    const kept = Object.entries(capabilities).filter(([name]) => capabilityNames.includes(name));
    const clientCapabilities = {
      ...Object.fromEntries(kept),
      ...(capabilities["roots"] === undefined ? {} : { roots: {} }),
    };
    const key = (name: string) => `io.modelcontextprotocol/${name}`;
    const who = typeof clientInfo["name"] === "string" ? { [key("clientInfo")]: { version: "", ...clientInfo } } : {};
    return { [key("protocolVersion")]: statelessVersion, ...who, [key("clientCapabilities")]: clientCapabilities };
  }

  // ── from the server ──

  onLine(bytes: Buffer, release: () => void, again?: boolean): void {
    if (this.#listener === undefined) return this.#events.onLine(bytes, release, again);
    const line = asText(bytes);
    let envelope: Envelope;
    try {
      envelope = readEnvelope(line);
    } catch (thrown) {
      if (!(thrown instanceof EnvelopeError)) throw thrown;
      return this.#hearUnreadable(line, release, thrown.message, again);
    }
    if (this.#listener.hears(envelope, line) || this.#rounds?.hears(envelope, line) === true) return release();
    this.#events.onLine(line, release, again);
  }

  /** Salvaged messages are passed on, an answer as an error under its id; the upstream examines the rest. */
  #hearUnreadable(line: Buffer, release: () => void, why: string, again: boolean | undefined): void {
    const { messages, answer } = salvage(line);
    const [id, ...more] = answer?.ids ?? [];
    const isKnown = id !== undefined && more.length === 0;
    if (messages.length === 0 && !isKnown) return this.#events.onLine(line, release, again);
    for (const message of messages) this.onLine(message, () => {}, again);
    if (isKnown) this.onLine(errorBody(id, unreadableAnswer(this.#params.server, why)), () => {}, again);
    release();
  }

  onClosed(outcome: string, code?: ErrorCode, reason?: EndReason): void {
    this.#listener?.close();
    this.#rounds?.close();
    this.#events.onClosed(outcome, code, reason);
  }

  #answer(envelope: Envelope, line: Buffer, result: string): true {
    this.#say(`{"jsonrpc":"2.0","id":${line.toString("latin1", envelope.idStart, envelope.idEnd)},"result":${result}}`);
    return true;
  }

  #refuse(envelope: Envelope, line: Buffer, message: string): true {
    const error = JSON.stringify({ code: rpcCode.invalidParams, message });
    this.#say(`{"jsonrpc":"2.0","id":${line.toString("latin1", envelope.idStart, envelope.idEnd)},"error":${error}}`);
    return true;
  }

  /** After the caller has registered what it waits for. */
  #say(text: string): void {
    queueMicrotask(() => this.#events.onLine(Buffer.from(text, "utf8"), () => {}));
  }
}

function isEmptyObject(line: Buffer, brace: number): boolean {
  let at = brace + 1;
  while (line[at] === 0x20 || line[at] === 0x09 || line[at] === 0x0a || line[at] === 0x0d) at++;
  return line[at] === 0x7d;
}
