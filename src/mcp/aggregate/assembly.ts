/**
 * One session over several servers as if they were one, or over one server that is started when it is needed. Answers
 * `initialize`, `ping` and lists itself; everything else goes as raw lines to the server that its name or address stands for.
 */
import type { Clock } from "../../clock.ts";
import type { EndReason, FrontServer } from "../../protocol/keeper/messages.ts";
import type { Log } from "../../log.ts";
import type { Session } from "../../sessions/session.ts";
import { batchVersion } from "../batch.ts";
import type { OwnTools } from "../tools/own-tools.ts";
import type { Envelope } from "../envelope.ts";
import { rpcCode, type RpcFault, numberAt } from "../json-rpc.ts";
import { initializedAlready, downFault } from "../faults.ts";
import type { Numbers } from "../numbers.ts";
import type { Opening } from "../pool/opening.ts";
import { gone } from "../pool/order.ts";
import type { Catalog } from "../pool/catalog.ts";
import type { Pool } from "../pool/pool.ts";
import type { RunningServer } from "../pool/running-server.ts";
import { Seat } from "../pool/seat.ts";
import type { Starter } from "../pool/starter.ts";
import type { Pulse } from "../pulse.ts";
import type { InitializeResult, Introduction } from "../upstream/handshake.ts";
import type { ClientSide } from "./client-side.ts";
import type { PatientCall } from "../upstream/party.ts";
import { ownIntroduction, spokenIn } from "./introduction.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Memory, type Memo } from "./memory.ts";
import { Offer } from "./offer.ts";
import { AskedRoots } from "./roots.ts";
import { Router } from "./router.ts";
import { SeatSet } from "./seats.ts";

/** Time for a server to hear what the session told the one before it. */
const askMsMax = 20_000;

export interface AssemblyParts {
  servers: FrontServer[];
  /** Names carry their server's; false: one server under its own names. */
  isPrefixed: boolean;
  /** Client and server speak as if nobody stood between them; for the whole of the session. */
  isPassThrough: boolean;
  session: Session;
  introduction: Introduction;
  /** The session's client, as its servers see it. */
  client: ClientSide;
  /** Each request may be another client's, so that a server's words go only where no other can be meant. */
  isCrowd: boolean;
  starter: Starter;
  pool: Pool;
  catalog: Catalog;
  numbers: Numbers;
  tools: OwnTools;
  /** Servers that cannot be had as things are, and why. */
  lacking: () => { name: string; problem: string }[];
  clock: Clock;
  pulse: Pulse;
  log: Log;
  listMs: number;
}

export class Assembly {
  readonly session: Session;
  readonly client: ClientSide;
  readonly isPrefixed: boolean;
  readonly isCrowd: boolean;
  readonly isPassThrough: boolean;
  readonly #parts: AssemblyParts;
  readonly roots: AskedRoots;
  readonly memory: Memory;
  readonly #seats: SeatSet;
  readonly offer: Offer;
  readonly #dispatcher: Dispatcher;
  /** What the client asked for; undefined = nothing. */
  logLevel: unknown;

  constructor(parts: AssemblyParts) {
    const { session, introduction, client, clock, pulse, catalog } = parts;
    this.#parts = parts;
    this.session = session;
    this.isPrefixed = parts.isPrefixed;
    this.isCrowd = parts.isCrowd;
    this.isPassThrough = parts.isPassThrough;
    this.client = client;
    const hasRoots = introduction.capabilities["roots"] !== undefined;
    this.roots = new AskedRoots(clock, hasRoots, session.id, () => this.#askRoots());
    this.client.rootsOf = () => this.roots.now;
    const make = (server: FrontServer) => this.#seat(server);
    this.#seats = new SeatSet(parts.servers, { session, log: parts.log, make });
    const { isPrefixed, log, listMs } = parts;
    this.offer = new Offer({ seats: this.#seats, isPrefixed, session, client, clock, log, listMs });
    const seats = this.#seats;
    const router = new Router({ seats, offer: this.offer, tools: parts.tools, isPrefixed });
    const onSubscriptions = () => this.memory.write();
    const onLogLevel = (level: string) => this.setLogLevel(level);
    this.#dispatcher = new Dispatcher({ session, client, seats, router, log, onSubscriptions, onLogLevel });
    this.memory = new Memory(session, () => this.#memo());
    pulse.add(this.client);
    const isOurs = (key: string) => this.seats.some(({ factsKey }) => factsKey === key);
    const unwatch = parts.isPassThrough ? () => {} : catalog.onChange((key) => isOurs(key) && this.offer.changed());
    session.onEnd((reason) => {
      pulse.remove(this.client);
      unwatch();
      this.roots.close();
      this.failAll({ code: rpcCode.unavailable, message: `the session was ended (${reason})`, reason: "run_ended" });
    });
  }

  get seats(): Seat[] {
    return this.#seats.all;
  }

  seatAt(server: string): Seat | undefined {
    return this.#seats.named(server);
  }

  /** The config names these servers now. Resolves when those that are not offered any more are gone. */
  reload(servers: FrontServer[]): Promise<void> {
    const { fresh, ended } = this.#seats.replace(servers);
    const { subscriptions } = this.client;
    for (const [uri, server] of subscriptions) if (this.seatAt(server) === undefined) subscriptions.delete(uri);
    this.memory.write();
    // Of a server that was never started nobody knows the lists: the client asks, and learns them.
    this.offer.changed(fresh.some((seat) => !seat.isKnown));
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
    const [seat] = this.#seats.all;
    const onUp = (protocolVersion: string | undefined) => {
      if (this.session.ended) return;
      if (protocolVersion !== undefined) this.session.agreeOn(protocolVersion);
      this.memory.begin();
    };
    try {
      await seat?.open({ ...opening, onUp });
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
    if (!this.isPrefixed) this.offer.show();
    return told;
  }

  async #introduction(): Promise<InitializeResult> {
    const [{ protocolVersion }, only] = [this.#parts.introduction, this.seats[0]];
    if (!this.isPrefixed && only !== undefined) return spokenIn(protocolVersion, (await only.learn()).initialize);
    const merged = await this.offer.merged();
    const missing = { isPartial: this.offer.isPartial, lacking: this.#parts.lacking() };
    return ownIntroduction(protocolVersion, merged, missing);
  }

  // ── from the client ──

  /** Takes a request; the call hears its answer in every case. */
  request(call: PatientCall, envelope: Envelope, body: Buffer): void {
    this.client.begin(call);
    if (this.isPassThrough) this.#passOn(call, envelope, body);
    else this.#dispatcher.request(call, envelope, body);
  }

  #passOn(call: PatientCall, envelope: Envelope, body: Buffer): void {
    if (envelope.method === "initialize") return call.fail(initializedAlready(), 400);
    const running = this.#seats.all[0]?.ready();
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
      this.memory.write();
    }
    let taken = true;
    for (const seat of this.seats) {
      // A pooled server hears nothing that one of its clients says to all.
      if (!seat.isPooled) taken = (seat.ready()?.upstream.send(envelope, body, []) ?? true) && taken;
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
    this.memory.write();
    for (const seat of this.seats) this.#tellLogLevel(seat, seat.ready());
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
  restore({ scopeKey, roots, holds, subscriptions, logLevel }: Memo): void {
    if (roots !== undefined) this.roots.restore(roots.now);
    for (const [uri, server] of subscriptions) this.client.subscriptions.set(uri, server);
    this.logLevel = logLevel;
    for (const { server, roots: held } of holds) {
      const seat = this.seatAt(server);
      if (seat?.isPooled === true) seat.hold(held);
    }
    this.memory.begin(scopeKey);
  }

  /** Its servers are there again, as many as there were. */
  resumed(): void {
    const { client } = this;
    for (const [uri, server] of client.subscriptions) this.seatAt(server)?.ready()?.subscribe(uri, client);
    if (!this.isPassThrough) this.offer.show();
  }

  #memo(): Memo {
    const { seats, client, roots, logLevel, isCrowd, isPassThrough } = this;
    return {
      isPassThrough,
      ...(isPassThrough ? {} : { introduction: this.#parts.introduction }),
      roots: roots.wasAsked ? { now: roots.now } : undefined,
      holds: seats.flatMap(({ name, held }) => (held === undefined ? [] : [{ server: name, roots: held.roots }])),
      subscriptions: [...client.subscriptions],
      logLevel,
      ...(isCrowd ? { isCrowd } : {}),
    };
  }

  // ── the servers ──

  #seat(server: FrontServer): Seat {
    const { session, isPassThrough } = this.#parts;
    const onFresh = (seat: Seat, running: RunningServer) => this.#refresh(seat, running);
    const onFacts = () => this.offer.changed();
    const onHold = () => this.memory.write();
    // A client that speaks to one process begins again when that is gone: only it knows what it had told it.
    const onClosed = (_: string, reason: EndReason) => void (isPassThrough && session.close(reason));
    const heard = { onFresh, onFacts, onHold, onClosed };
    return new Seat({ ...this.#parts, server, party: this.client, roots: this.roots, ...heard });
  }

  /** Tells a new process what the session told the one before it. */
  #refresh(seat: Seat, running: RunningServer): void {
    this.#tellLogLevel(seat, running);
    for (const [uri, server] of this.client.subscriptions) {
      if (server !== seat.name) continue;
      running.subscribe(uri, this.client);
      void running.upstream.ask("resources/subscribe", { uri }, askMsMax).catch(() => {}); // it may know it no more
    }
  }

  #tellLogLevel(seat: Seat, running: RunningServer | undefined): void {
    if (this.logLevel === undefined || running?.initialize.capabilities["logging"] === undefined || seat.isPooled)
      return;
    void running.upstream.ask("logging/setLevel", { level: this.logLevel }, askMsMax).catch(() => {}); // no promise to the client
  }

  #askRoots(): number {
    const id = this.#parts.numbers.next();
    this.client.say({ jsonrpc: "2.0", id, method: "roots/list" });
    return id;
  }
}
