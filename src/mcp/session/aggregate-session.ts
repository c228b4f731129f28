/**
 * One session over several servers as if they were one, or over one server that is started when it is needed. Answers
 * `initialize`, `ping` and lists itself; everything else goes as raw lines to the server that its name or address stands for.
 */
import type { Clock } from "../../clock.ts";
import type { FrontServer } from "../../protocol/keeper/messages.ts";
import type { Log } from "../../log.ts";
import type { Session } from "../../sessions/session.ts";
import { batchVersion } from "../wire/batch.ts";
import type { OwnTools } from "../tools/own-tools.ts";
import type { Envelope } from "../wire/envelope.ts";
import { rpcCode, type RpcFault, numberAt } from "../wire/json-rpc.ts";
import { initializedAlready, downFault } from "../wire/faults.ts";
import type { Numbers } from "../wire/numbers.ts";
import type { Opening } from "../servers/opening.ts";
import { gone } from "../servers/order.ts";
import type { Catalog } from "../servers/catalog.ts";
import type { Pool } from "../servers/pool.ts";
import type { RunningServer } from "../servers/running-server.ts";
import { Binding } from "../servers/binding.ts";
import type { Starter } from "../servers/starter.ts";
import type { StreamHeartbeat } from "../wire/stream-heartbeat.ts";
import type { InitializeResult, Introduction } from "../servers/handshake.ts";
import type { SessionClient } from "./session-client.ts";
import type { ClientCall } from "../servers/client.ts";
import { ownIntroduction, spokenIn } from "./introduction.ts";
import { Dispatcher } from "./dispatcher.ts";
import { SessionHandoff, type HandoffState } from "./session-handoff.ts";
import { MergedCatalog } from "./merged-catalog.ts";
import { AskedRoots } from "./roots.ts";
import { Router } from "./router.ts";
import { Bindings } from "./bindings.ts";

/** Time for a server to hear what the session told the one before it. */
const askMsMax = 20_000;

export interface AggregateSessionParts {
  servers: FrontServer[];
  /** Names carry their server's; false: one server under its own names. */
  isPrefixed: boolean;
  /** Client and server speak as if nobody stood between them; for the whole of the session. */
  isPassThrough: boolean;
  session: Session;
  introduction: Introduction;
  /** The session's client, as its servers see it. */
  client: SessionClient;
  /** Each request may be another client's, so that a server's words go only where no other can be meant. */
  isAnonymous: boolean;
  starter: Starter;
  pool: Pool;
  catalog: Catalog;
  numbers: Numbers;
  tools: OwnTools;
  /** Servers that cannot be had as things are, and why. */
  lacking: () => { name: string; problem: string }[];
  clock: Clock;
  heartbeat: StreamHeartbeat;
  log: Log;
  listMs: number;
}

export class AggregateSession {
  readonly session: Session;
  readonly client: SessionClient;
  readonly isPrefixed: boolean;
  readonly isAnonymous: boolean;
  readonly isPassThrough: boolean;
  readonly #parts: AggregateSessionParts;
  readonly roots: AskedRoots;
  readonly handoff: SessionHandoff;
  readonly #bindings: Bindings;
  readonly mergedCatalog: MergedCatalog;
  readonly #dispatcher: Dispatcher;
  /** What the client asked for; undefined = nothing. */
  logLevel: unknown;

  constructor(parts: AggregateSessionParts) {
    const { session, introduction, client, clock, heartbeat, catalog } = parts;
    this.#parts = parts;
    this.session = session;
    this.isPrefixed = parts.isPrefixed;
    this.isAnonymous = parts.isAnonymous;
    this.isPassThrough = parts.isPassThrough;
    this.client = client;
    const hasRoots = introduction.capabilities["roots"] !== undefined;
    this.roots = new AskedRoots(clock, hasRoots, session.id, () => {
      const id = parts.numbers.next();
      client.say({ jsonrpc: "2.0", id, method: "roots/list" });
      return id;
    });
    this.client.rootsOf = () => this.roots.now;
    this.#bindings = new Bindings(parts.servers, { session, log: parts.log, make: (server) => this.#binding(server) });
    const { isPrefixed, log } = parts;
    const bindings = this.#bindings;
    this.mergedCatalog = new MergedCatalog({ ...parts, bindings });
    const router = new Router({ bindings, mergedCatalog: this.mergedCatalog, tools: parts.tools, isPrefixed });
    const onSubscriptions = () => this.handoff.write();
    const onLogLevel = (level: string) => this.setLogLevel(level);
    this.#dispatcher = new Dispatcher({ session, client, bindings, router, log, onSubscriptions, onLogLevel });
    this.handoff = new SessionHandoff(session, () => this.#memo());
    heartbeat.add(this.client);
    const isOurs = (key: string) => this.bindings.some(({ metadataKey }) => metadataKey === key);
    const unwatch = parts.isPassThrough
      ? () => {}
      : catalog.onChange((key) => isOurs(key) && this.mergedCatalog.changed());
    session.onEnd((reason) => {
      heartbeat.remove(this.client);
      unwatch();
      this.roots.close();
      this.failAll({ code: rpcCode.unavailable, message: `the session was ended (${reason})`, reason: "run_ended" });
    });
  }

  get bindings(): Binding[] {
    return this.#bindings.all;
  }

  /** The config names these servers now. Resolves when those that are not offered any more are gone. */
  reload(servers: FrontServer[]): Promise<void> {
    const { fresh, ended } = this.#bindings.replace(servers);
    const { subscriptions } = this.client;
    for (const [uri, server] of subscriptions)
      if (this.#bindings.named(server) === undefined) subscriptions.delete(uri);
    this.handoff.write();
    // Of a server that was never started nobody knows the lists: the client asks, and learns them.
    this.mergedCatalog.changed(fresh.some((binding) => !binding.isKnown));
    return ended;
  }

  // ── what is known of the servers ──

  /** Its client speaks the one revision that has batches. */
  get takesBatches(): boolean {
    const { introduction } = this.#parts;
    return (this.isPassThrough ? this.session.protocolVersion : introduction.protocolVersion) === batchVersion;
  }

  /** The client's `initialize` brings its server up, in a session that passes everything. Every failure ends the session. */
  async open(opening: Omit<Opening, "onUp">): Promise<void> {
    const [binding] = this.#bindings.all;
    const onUp = (protocolVersion: string | undefined) => {
      if (this.session.ended) return;
      if (protocolVersion !== undefined) this.session.agreeOn(protocolVersion);
      this.handoff.begin();
    };
    try {
      await binding?.open({ ...opening, onUp });
    } catch (thrown) {
      opening.call.fail(downFault(thrown));
      void this.session.close("spawn-failed"); // what cannot be ended is logged by the session set
    }
  }

  /** The `result` of `initialize`. */
  async introduce(): Promise<InitializeResult> {
    const told = await this.#introduction();
    // The client names it in each request from now on.
    if (!this.session.ended) this.session.agreeOn(told.protocolVersion);
    // A single server's lists go to the client as they are.
    if (!this.isPrefixed) this.mergedCatalog.show();
    return told;
  }

  async #introduction(): Promise<InitializeResult> {
    const [{ protocolVersion }, only] = [this.#parts.introduction, this.bindings[0]];
    if (!this.isPrefixed && only !== undefined) return spokenIn(protocolVersion, (await only.learn()).initialize);
    const merged = await this.mergedCatalog.merged();
    const missing = { isPartial: this.mergedCatalog.isPartial, lacking: this.#parts.lacking() };
    return ownIntroduction(protocolVersion, merged, missing);
  }

  // ── from the client ──

  /** Takes a request; the call hears its answer in every case. */
  request(call: ClientCall, envelope: Envelope, body: Buffer): void {
    this.client.begin(call);
    if (this.isPassThrough) this.#passOn(call, envelope, body);
    else this.#dispatcher.request(call, envelope, body);
  }

  #passOn(call: ClientCall, envelope: Envelope, body: Buffer): void {
    if (envelope.method === "initialize") return call.fail(initializedAlready(), 400);
    const running = this.#bindings.all[0]?.ready();
    if (running === undefined) return call.fail(downFault(gone()));
    this.#dispatcher.send(running, call, envelope, body, []);
  }

  /** False: the server does not keep up. */
  notify(envelope: Envelope, body: Buffer): boolean {
    const { method } = envelope;
    if (method === "notifications/initialized" && !this.isPassThrough) return true;
    if (method === "notifications/cancelled") return this.client.cancelled(envelope, body);
    if (method === "notifications/progress") return this.client.progressed(envelope, body);
    if (method === "notifications/roots/list_changed" && !this.isPassThrough) {
      this.roots.changed();
      this.handoff.write();
    }
    let taken = true;
    for (const binding of this.bindings) {
      // A pooled server hears nothing that one of its clients says to all.
      if (!binding.isPooled) taken = (binding.ready()?.upstream.send(envelope, body, []) ?? true) && taken;
    }
    return taken;
  }

  /** False: the server does not keep up. */
  respond(envelope: Envelope, body: Buffer): boolean {
    const number = numberAt(body, envelope.idStart, envelope.idEnd);
    return this.roots.hear(number, body) || this.client.responded(number, envelope, body);
  }

  /** Every server that the session has started, and each that it will start, hears it. */
  setLogLevel(level: unknown): void {
    this.logLevel = level;
    this.handoff.write();
    for (const binding of this.bindings) this.#tellLogLevel(binding, binding.ready());
  }

  /** The gateway stops: the client that only listens is let go, and the session ends with its last call. */
  drain(): void {
    // A stdio client's stream is also where its answers go: it ends with its session.
    if (this.session.kind === "stdio") this.client.quiet();
    else this.client.hangUp();
    this.client.whenQuiet(() => void this.session.close("shutdown")); // what cannot be ended is logged by the session set
  }

  /** Nobody waits for the servers any longer. */
  failAll(fault: RpcFault): void {
    this.client.failAll(fault);
    this.client.hangUp();
  }

  // ── after a front before this one ──

  /** The session is as it was, but for its servers. */
  restore({ scopeKey, roots, holds, subscriptions, logLevel }: HandoffState): void {
    if (roots !== undefined) this.roots.restore(roots.now);
    for (const [uri, server] of subscriptions) this.client.subscriptions.set(uri, server);
    this.logLevel = logLevel;
    for (const { server, roots: held } of holds) {
      const binding = this.#bindings.named(server);
      if (binding?.isPooled === true) binding.hold(held);
    }
    this.handoff.begin(scopeKey);
  }

  /** Its servers are there again, as many as there were. */
  resumed(): void {
    const { client } = this;
    for (const [uri, server] of client.subscriptions) this.#bindings.named(server)?.ready()?.subscribe(uri, client);
    if (!this.isPassThrough) this.mergedCatalog.show();
  }

  #memo(): HandoffState {
    const { bindings, client, roots, logLevel, isAnonymous, isPassThrough } = this;
    return {
      isPassThrough,
      ...(isPassThrough ? {} : { introduction: this.#parts.introduction }),
      roots: roots.wasAsked ? { now: roots.now } : undefined,
      holds: bindings.flatMap(({ name, held }) => (held === undefined ? [] : [{ server: name, roots: held.roots }])),
      subscriptions: [...client.subscriptions],
      logLevel,
      ...(isAnonymous ? { isAnonymous } : {}),
    };
  }

  // ── the servers ──

  #binding(server: FrontServer): Binding {
    return new Binding({
      ...this.#parts,
      server,
      roots: this.roots,
      onFresh: (binding, running) => this.#refresh(binding, running),
      onMetadata: () => this.mergedCatalog.changed(),
      onHold: () => this.handoff.write(),
      // A client that speaks to one process begins again when that is gone: only it knows what it had told it.
      onClosed: (_, reason) => void (this.isPassThrough && this.session.close(reason)),
    });
  }

  /** Tells a new process what the session told the one before it. */
  #refresh(binding: Binding, running: RunningServer): void {
    this.#tellLogLevel(binding, running);
    for (const [uri, server] of this.client.subscriptions) {
      if (server !== binding.name) continue;
      running.subscribe(uri, this.client);
      void running.upstream.ask("resources/subscribe", { uri }, askMsMax).catch(() => {}); // it may know it no more
    }
  }

  #tellLogLevel(binding: Binding, running: RunningServer | undefined): void {
    if (this.logLevel === undefined || running?.initialize.capabilities["logging"] === undefined || binding.isPooled)
      return;
    void running.upstream.ask("logging/setLevel", { level: this.logLevel }, askMsMax).catch(() => {}); // no promise to the client
  }
}
