/**
 * One session over several servers as one, or over a single server that starts on demand. Answers `initialize`, `ping`
 * and lists itself; everything else goes as raw lines to the server of its name or URI.
 */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { Clock } from "../../clock.ts";
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
import type { MergedViews } from "./merge.ts";
import { MergedCatalog } from "./merged-catalog.ts";
import { AskedRoots } from "./roots.ts";
import { Router } from "./router.ts";
import { Bindings } from "./bindings.ts";

/** Time for a new server process to answer the replayed session state. */
const askMsMax = 20_000;

export interface AggregateSessionParts {
  servers: FrontServer[];
  /** Names carry their server's; false: one server under its own names. */
  isPrefixed: boolean;
  /** Everything passes unchanged between client and server, for the whole session. */
  isPassThrough: boolean;
  session: Session;
  introduction: Introduction;
  client: SessionClient;
  /** Each request may be another client's, so server messages go only to an unambiguous recipient. */
  isAnonymous: boolean;
  starter: Starter;
  pool: Pool;
  catalog: Catalog;
  /** Of the same catalog. */
  views: MergedViews;
  numbers: Numbers;
  tools: OwnTools;
  /** Unavailable servers, and why. */
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
  /** The level that the client set; undefined: none. */
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
    this.handoff = new SessionHandoff(session, () => this.#handoffState());
    heartbeat.add(this.client);
    const isOurs = (key: string) => this.bindings.some(({ metadataKey }) => metadataKey === key);
    const unwatch = parts.isPassThrough
      ? () => {}
      : catalog.onChange((key) => isOurs(key) && this.mergedCatalog.changed());
    session.onEnd((reason) => {
      heartbeat.remove(this.client);
      unwatch();
      this.mergedCatalog.close();
      this.roots.close();
      this.failAll({ code: rpcCode.unavailable, message: `the session was ended (${reason})`, reason: "run_ended" });
    });
  }

  get bindings(): Binding[] {
    return this.#bindings.all;
  }

  /** Follows the reloaded config. Resolves when the removed servers are gone. */
  reload(servers: FrontServer[]): Promise<void> {
    const { fresh, ended } = this.#bindings.replace(servers);
    const { subscriptions } = this.client;
    for (const [uri, server] of subscriptions)
      if (this.#bindings.named(server) === undefined) subscriptions.delete(uri);
    this.handoff.write();
    // The lists of a server that never started are unknown: the client asks and learns them.
    this.mergedCatalog.changed(fresh.some((binding) => !binding.isKnown));
    return ended;
  }

  // ── server metadata ──

  /** Only one revision has batches. */
  get takesBatches(): boolean {
    const { introduction } = this.#parts;
    return (this.isPassThrough ? this.session.protocolVersion : introduction.protocolVersion) === batchVersion;
  }

  /** The client's `initialize` starts the server of a pass-through session. Every failure ends the session. */
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
      void this.session.close("spawn-failed"); // the session set logs what cannot be ended
    }
  }

  /** The `result` of `initialize`. */
  async introduce(): Promise<InitializeResult> {
    const told = await this.#introduction();
    // The client names it in each request from now on.
    if (!this.session.ended) this.session.agreeOn(told.protocolVersion);
    // A single server's lists go to the client unchanged.
    if (!this.isPrefixed) this.mergedCatalog.show();
    return told;
  }

  async #introduction(): Promise<InitializeResult> {
    const [{ protocolVersion }, only] = [this.#parts.introduction, this.bindings[0]];
    if (!this.isPrefixed && only !== undefined) return spokenIn(protocolVersion, (await only.learn()).initialize);
    const merged = await this.mergedCatalog.merged();
    const { isPartial, absent } = this.mergedCatalog;
    return ownIntroduction(protocolVersion, merged, { isPartial, lacking: [...this.#parts.lacking(), ...absent] });
  }

  // ── from the client ──

  /** Takes a request; the call is always answered. */
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
      // One client's broadcast must not reach a pooled server.
      if (!binding.isPooled) taken = (binding.ready()?.upstream.send(envelope, body, []) ?? true) && taken;
    }
    return taken;
  }

  /** False: the server does not keep up. */
  respond(envelope: Envelope, body: Buffer): boolean {
    const number = numberAt(body, envelope.idStart, envelope.idEnd);
    return this.roots.hear(number, body) || this.client.responded(number, envelope, body);
  }

  /** Applies to every server that the session has started or will start. */
  setLogLevel(level: unknown): void {
    this.logLevel = level;
    this.handoff.write();
    for (const binding of this.bindings) this.#tellLogLevel(binding, binding.ready());
  }

  /** The gateway stops: closes the client's listening stream, and the session after its last call. */
  drain(): void {
    // A stdio client's stream also carries its answers, so it ends with the session.
    if (this.session.kind === "stdio") this.client.quiet();
    else this.client.hangUp();
    this.client.whenQuiet(() => void this.session.close("shutdown")); // the session set logs what cannot be ended
  }

  /** Fails every call in flight. */
  failAll(fault: RpcFault): void {
    this.client.failAll(fault);
    this.client.hangUp();
  }

  // ── restored from the previous front ──

  /** Restores the session without its servers. */
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

  /** The surviving servers are restored. */
  resumed(): void {
    const { client } = this;
    for (const [uri, server] of client.subscriptions) this.#bindings.named(server)?.ready()?.subscribe(uri, client);
    if (!this.isPassThrough) this.mergedCatalog.show();
  }

  #handoffState(): HandoffState {
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
      // A pass-through client must begin again with a new process: only it knows the state of the old one.
      onClosed: (_, reason) => void (this.isPassThrough && this.session.close(reason)),
    });
  }

  /** Replays the session's state to a new process. */
  #refresh(binding: Binding, running: RunningServer): void {
    this.#tellLogLevel(binding, running);
    for (const [uri, server] of this.client.subscriptions) {
      if (server !== binding.name) continue;
      running.subscribe(uri, this.client);
      void running.upstream.ask("resources/subscribe", { uri }, askMsMax).catch(() => {}); // the resource may be gone
    }
  }

  #tellLogLevel(binding: Binding, running: RunningServer | undefined): void {
    if (this.logLevel === undefined || running?.initialize.capabilities["logging"] === undefined || binding.isPooled)
      return;
    void running.upstream.ask("logging/setLevel", { level: this.logLevel }, askMsMax).catch(() => {}); // best effort
  }
}
