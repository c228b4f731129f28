/** Serves the requests of stateless clients over any transport, as calls of the client's session. */
import type { IncomingHttpHeaders } from "node:http";
import type { TokenScope } from "../../protocol/keeper/front-config.ts";
import type { Random } from "../../random.ts";
import type { Clock } from "../../clock.ts";
import { downFault, unknownState } from "../wire/faults.ts";
import { answerItself } from "../session/session-client.ts";
import type { AggregateSession } from "../session/aggregate-session.ts";
import type { SessionManager } from "../session/session-manager.ts";
import { callParams, type CallParams, type StreamableReply } from "../wire/call.ts";
import { statelessVersion } from "../wire/headers.ts";
import { rpcCode, isObject } from "../wire/json-rpc.ts";
import { mirrorProblem, type MirroredParam } from "../wire/mirrored-params.ts";
import type { Received } from "../http/receive.ts";
import { refusal, type Refusal } from "../http/reply.ts";
import { listen } from "./listen.ts";
import { lower } from "./log-levels.ts";
import { MetadataReader, mismatch, sessionMeta, type Metadata } from "./request-metadata.ts";
import { discovery } from "./results.ts";
import { isOurState, Retained } from "./retained.ts";
import type { StatelessClient } from "./stateless-client.ts";
import { StatelessCall } from "./stateless-call.ts";

/** Methods that the stateless revision removed, answered as unknown ones. */
const removed = new Set(["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]);

export interface ServiceParts {
  manager: SessionManager;
  clock: Clock;
  random: Random;
  /** How long a suspended call waits for its client. */
  questionMs: number;
}

/** Creates the reply to a request. */
export type Carry = (params: CallParams) => StreamableReply;

export interface StatelessRequest extends Received {
  /** The client's session. */
  open: AggregateSession;
  metadata: Metadata;
  /** Scopes of its client's token. */
  scopes: ReadonlySet<TokenScope>;
  /** The request's headers; undefined for lines, which have none. */
  sent?: IncomingHttpHeaders;
}

/** Why this revision lacks the method, or undefined. */
export function removedProblem(method: string): Refusal | undefined {
  if (!removed.has(method)) return undefined;
  const message = `${method} is not a method of revision ${statelessVersion}`;
  return refusal(404, rpcCode.methodUnknown, "method_unknown", message);
}

export class StatelessService {
  readonly metadata = new MetadataReader();
  readonly #parts: ServiceParts;
  readonly #retained: Retained<StatelessCall>;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#retained = new Retained(parts.random);
  }

  /** `carry` creates the reply; `deny` refuses without one. */
  serve(request: StatelessRequest, carry: Carry, deny: (no: Refusal) => void): void {
    const { open, envelope, body, metadata, sent } = request;
    const { method } = envelope;
    const hasHeaders = method === "tools/call" && envelope.nameStart > 0 && sent !== undefined;
    const name = hasHeaders ? (JSON.parse(body.toString("utf8", envelope.nameStart, envelope.nameEnd)) as string) : "";
    const mirrored = hasHeaders ? open.mergedCatalog.mirrored(name) : [];
    const problem = headersProblem(mirrored ?? [], request);
    if (problem !== undefined) return deny(problem);
    const params = this.#callParams(request);
    if (envelope.hasState && this.#goOn(request, params, carry, deny)) return;
    const side = open.client as StatelessClient;
    const { clock, questionMs, manager } = this.#parts;
    const call = new StatelessCall(params, {
      open,
      side,
      retained: this.#retained,
      clock,
      questionMs,
      metadata,
      method,
      body,
    });
    const reply = carry(params);
    call.attach(reply);
    if (method === "server/discover") return void this.#discover(open, call);
    if (method === "subscriptions/listen")
      return void listen({ open, side, call, reply, numbers: manager.numbers, clock }, body);
    if (metadata.logLevel !== undefined) {
      const level = lower(open.logLevel, metadata.logLevel);
      if (level !== open.logLevel) open.setLogLevel(level);
    }
    if (mirrored !== undefined) open.request(call, envelope, body);
    else void this.#learnFirst(name, request, call);
  }

  /** The tool's header parameters are known once its server has been asked. */
  async #learnFirst(name: string, request: StatelessRequest, call: StatelessCall): Promise<void> {
    const { open, envelope, body } = request;
    open.client.begin(call);
    try {
      const problem = headersProblem(await open.mergedCatalog.learnMirrored(name), request);
      if (problem !== undefined) call.fail(problem.fault);
      else if (!call.done) open.request(call, envelope, body);
    } catch (thrown) {
      call.fail(downFault(thrown));
    }
  }

  async #discover(open: AggregateSession, call: StatelessCall): Promise<void> {
    open.client.begin(call);
    try {
      answerItself(call, discovery(await open.introduce()));
    } catch (thrown) {
      call.fail(downFault(thrown));
    }
  }

  /** Resumes a suspended call. False: the state belongs to the server. */
  #goOn(request: StatelessRequest, params: CallParams, carry: Carry, deny: (no: Refusal) => void): boolean {
    const { open, envelope, body } = request;
    const message = JSON.parse(body.toString("utf8")) as {
      params: { requestState: unknown; inputResponses?: unknown };
    };
    const { requestState, inputResponses } = message.params;
    if (!isOurState(requestState)) return false;
    const call = this.#retained.find(requestState);
    if (call === undefined || call.open !== open || !call.isSame(envelope.method, body)) {
      deny({ status: 400, fault: unknownState() });
      return true;
    }
    call.resume(params, carry(params), isObject(inputResponses) ? inputResponses : {});
    return true;
  }

  #callParams({ envelope, body, metadata, scopes }: StatelessRequest): CallParams {
    const { manager, clock } = this.#parts;
    const number = manager.numbers.next();
    const params = callParams(envelope, body, { number, startedAt: clock.monotonic(), scopes });
    const token = params.clientToken === undefined ? undefined : number;
    return { ...params, startsTask: false, sessionMeta: sessionMeta(metadata, token) };
  }
}

/** Why the headers of a tool call differ from its arguments, or undefined. */
function headersProblem(params: MirroredParam[], { body, sent = {} }: StatelessRequest): Refusal | undefined {
  if (params.length === 0) return undefined;
  const message = JSON.parse(body.toString("utf8")) as { params?: { arguments?: unknown } };
  const problem = mirrorProblem(params, message.params?.arguments, sent);
  return problem === undefined ? undefined : mismatch(problem);
}
