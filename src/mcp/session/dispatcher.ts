/**
 * Carries out the router's decision for each request of an aggregate session: most go on to a server, started if
 * needed. Every call gets an answer.
 */
import { logDefect, type Log } from "../../log.ts";
import type { Session } from "../../sessions/session.ts";
import type { Envelope } from "../wire/envelope.ts";
import { downFault, initializedAlready, slowServer, unknownState } from "../wire/faults.ts";
import { rpcCode } from "../wire/json-rpc.ts";
import type { RunningServer } from "../servers/running-server.ts";
import type { Binding } from "../servers/binding.ts";
import type { Edit } from "../wire/splice.ts";
import type { ClientCall } from "../servers/client.ts";
import { answerItself, type SessionClient } from "./session-client.ts";
import { OwnCalls } from "./own-calls.ts";
import type { Decision, Forward, Router } from "./router.ts";
import { notOffered, type Bindings } from "./bindings.ts";

/** Time per server in the search for a resource of unknown origin. */
const searchMs = 30_000;

export interface DispatcherParts {
  session: Session;
  client: SessionClient;
  bindings: Bindings;
  router: Router;
  /** The client's subscriptions changed. */
  onSubscriptions: () => void;
  onLogLevel: (level: string) => void;
  log: Log;
}

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #own: OwnCalls;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#own = new OwnCalls(parts.session);
    parts.client.onDone = (call) => this.#own.done(call);
  }

  request(call: ClientCall, envelope: Envelope, body: Buffer): void {
    if (envelope.method === "initialize") return call.fail(initializedAlready(), 400);
    const decision = this.#parts.router.route(envelope, body, call.params.scopes);
    if (!(decision instanceof Promise)) return this.#carryOut(decision, call, body);
    decision.then(
      (late) => this.#carryOut(late, call, body),
      (thrown: unknown) => call.fail(downFault(thrown)),
    );
  }

  #carryOut(decision: Decision, call: ClientCall, body: Buffer): void {
    if ("forward" in decision) return this.#forward(decision, call);
    if ("answer" in decision) return answerItself(call, decision.answer);
    if ("refuse" in decision) return call.fail(decision.refuse);
    if ("own" in decision) return this.#own.perform(call, decision.own, body);
    if ("search" in decision) return void this.#search(decision.search, decision.uri, call); // always answers
    this.#parts.onLogLevel(decision.logLevel);
    answerItself(call, "{}");
  }

  #forward({ forward: binding, envelope, body, edits }: Forward, call: ClientCall): void {
    const { method } = envelope;
    const isSubscription = method === "resources/subscribe" || method === "resources/unsubscribe";
    if (isSubscription && this.#noteSubscription(binding, call, envelope, body)) return answerItself(call, "{}");
    this.#toBinding(binding, call, envelope, body, edits);
  }

  #toBinding(binding: Binding, call: ClientCall, envelope: Envelope, body: Buffer, edits: Edit[]): void {
    const ready = binding.ready();
    if (ready !== undefined) return this.send(ready, call, envelope, body, edits);
    void binding.need().then(
      (running) => this.send(running, call, envelope, body, edits),
      (error: unknown) => {
        const { session, bindings } = this.#parts;
        // The config changed during the start: the call belongs to the server's replacement.
        const instead = binding.left && !session.ended ? bindings.named(binding.name) : undefined;
        if (instead !== undefined) return this.#toBinding(instead, call, envelope, body, edits);
        call.fail(downFault(binding.left && !session.ended ? new Error(notOffered(binding.name)) : error));
      },
    );
  }

  send({ upstream }: RunningServer, call: ClientCall, envelope: Envelope, body: Buffer, edits: Edit[]): void {
    const { session, client, log } = this.#parts;
    if (call.done || session.ended) return; // the client left during the start
    client.sent(call, upstream);
    // A session-based server issued no state and would start the call over.
    if (envelope.hasState && call.params.sessionMeta !== undefined && !upstream.isStateless)
      return call.fail(unknownState());
    try {
      if (upstream.request(call.client ?? client, call, envelope, body, edits)) return;
    } catch (thrown) {
      // One unforeseen message must not end the front and the calls of all others.
      logDefect(log, thrown);
      const message = "a defect in Holdfast; see the gateway's log";
      return call.fail({ code: rpcCode.internal, message, reason: "internal" });
    }
    call.fail(slowServer(upstream.server), 503);
  }

  /** Remembers a subscription. True: an unsubscribe stays here, because other subscribers remain. */
  #noteSubscription(binding: Binding, call: ClientCall, envelope: Envelope, body: Buffer): boolean {
    const { client, onSubscriptions } = this.#parts;
    const { subscriptions } = client;
    if (envelope.uriStart === 0) return false;
    const uri = JSON.parse(body.toString("utf8", envelope.uriStart, envelope.uriEnd)) as string;
    if (envelope.method === "resources/unsubscribe") {
      subscriptions.delete(uri);
      onSubscriptions();
      return binding.ready()?.unsubscribe(uri, client) === false;
    }
    const isNew = !subscriptions.has(uri);
    // A refused subscription must neither keep the server busy nor be replayed.
    call.params.onAnswer = (_line, isRefused) => {
      if (!isRefused || !isNew) return;
      subscriptions.delete(uri);
      onSubscriptions();
      binding.ready()?.unsubscribe(uri, client);
    };
    subscriptions.set(uri, binding.name);
    onSubscriptions();
    void binding.need().then(
      (running) => running.subscribe(uri, client),
      () => {}, // the call itself is answered
    );
    return false;
  }

  /** Asks one server after the other. */
  async #search(bindings: Binding[], uri: string, call: ClientCall): Promise<void> {
    let last: unknown;
    for (const binding of bindings) {
      if (call.done) return;
      try {
        const { upstream } = await binding.need();
        return answerItself(call, JSON.stringify(await upstream.ask("resources/read", { uri }, searchMs)));
      } catch (error) {
        last = error;
      }
    }
    const tried = bindings.map(({ name }) => name).join(", ");
    const message = `no server knows ${uri} (tried ${tried}): ${last instanceof Error ? last.message : String(last)}`;
    call.fail({ code: -32_002, message, reason: "invalid_params" });
  }
}
