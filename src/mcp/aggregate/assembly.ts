/**
 * One session over several servers as if they were one, or over one server that is started when it is needed. Answers
 * `initialize`, `ping` and lists itself; everything else goes as raw lines to the server that its name or address stands for.
 */
import type { Clock } from "../../clock.ts";
import type { FrontServer } from "../../protocol/keeper/messages.ts";
import { logDefect, type Log } from "../../log.ts";
import type { Session } from "../../sessions/session.ts";
import { batchVersion } from "../batch.ts";
import type { OwnTools } from "../tools/own-tools.ts";
import type { Envelope } from "../envelope.ts";
import { rpcCode, type RpcFault } from "../json-rpc.ts";
import { slowServer, unknownState } from "../refusals.ts";
import type { Numbers } from "../numbers.ts";
import type { Catalog } from "../pool/catalog.ts";
import type { Pool } from "../pool/pool.ts";
import type { RunningServer } from "../pool/running-server.ts";
import { Seat } from "../pool/seat.ts";
import type { Starter } from "../pool/starter.ts";
import type { Pulse } from "../pulse.ts";
import type { Edit } from "../splice.ts";
import type { InitializeResult, Introduction, ListName } from "../upstream/handshake.ts";
import { numberAt } from "../upstream/words.ts";
import type { ClientSide, PatientCall } from "./client-side.ts";
import { ownIntroduction, spokenIn } from "./introduction.ts";
import { Memory } from "./memory.ts";
import { Offer } from "./offer.ts";
import { AskedRoots } from "./roots.ts";
import { Router } from "./router.ts";
import { notOffered, SeatSet } from "./seats.ts";
import { answerText, downFault, resultStart } from "./answers.ts";

/** Time for a server to hear what the session told the one before it. */
const askMsMax = 20_000;

export interface AssemblyParts {
  servers: FrontServer[];
  /** Names carry their server's; false: one server under its own names. */
  isPrefixed: boolean;
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
  readonly #parts: AssemblyParts;
  readonly roots: AskedRoots;
  readonly memory: Memory;
  readonly #seats: SeatSet;
  readonly offer: Offer;
  readonly #router: Router;
  /** What the client asked for; undefined = nothing. */
  logLevel: unknown;

  constructor(parts: AssemblyParts) {
    const { session, introduction, client, clock, pulse, catalog } = parts;
    this.#parts = parts;
    this.session = session;
    this.isPrefixed = parts.isPrefixed;
    this.isCrowd = parts.isCrowd;
    this.client = client;
    const hasRoots = introduction.capabilities["roots"] !== undefined;
    this.roots = new AskedRoots(clock, hasRoots, session.id, () => this.#askRoots());
    this.client.rootsOf = () => this.roots.now;
    const make = (server: FrontServer) => this.#seat(server);
    this.#seats = new SeatSet(parts.servers, { session, log: parts.log, make });
    const { isPrefixed, log, listMs } = parts;
    this.offer = new Offer({ seats: this.#seats, isPrefixed, session, client, clock, log, listMs });
    this.#router = new Router(this, parts.tools);
    this.memory = new Memory(this, introduction);
    pulse.add(this.client);
    const unwatch = catalog.onChange((key) => this.seats.some((seat) => seat.factsKey === key) && this.offer.changed());
    session.onEnd((reason) => {
      pulse.remove(this.client);
      unwatch();
      this.roots.close();
      this.#end({ code: rpcCode.unavailable, message: `the session was ended (${reason})`, reason: "run_ended" });
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
    return this.#parts.introduction.protocolVersion === batchVersion;
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
    this.#router.route(call, envelope, body);
  }

  /** Sends a request to one server, started if need be. */
  forward(seat: Seat, call: PatientCall, envelope: Envelope, body: Buffer, edits: Edit[] = []): void {
    const ready = seat.ready();
    if (ready !== undefined) return this.#send(ready, call, envelope, body, edits);
    void seat.need().then(
      (running) => this.#send(running, call, envelope, body, edits),
      (error: unknown) => {
        // The config changed while it was starting: the call is for the one that stands in its place.
        const instead = seat.left && !this.session.ended ? this.seatAt(seat.name) : undefined;
        if (instead !== undefined) return this.forward(instead, call, envelope, body, edits);
        call.fail(downFault(seat.left && !this.session.ended ? new Error(notOffered(seat.name)) : error));
      },
    );
  }

  answer(call: PatientCall, result: Buffer | string): void {
    call.answer(answerText(call.params.clientId, result), [], () => {}, resultStart(call.params.clientId));
  }

  /** The answer to a list request, made of what is known. */
  async list(call: PatientCall, name: ListName): Promise<void> {
    const { lists } = await this.offer.merged();
    this.answer(call, lists[name]);
  }

  /** False: the server does not keep up. */
  notify(envelope: Envelope, body: Buffer): boolean {
    const { method } = envelope;
    if (method === "notifications/initialized") return true;
    if (method === "notifications/cancelled") return this.#cancelled(envelope, body);
    if (method === "notifications/progress") return this.#progress(envelope, body);
    if (method === "notifications/roots/list_changed") {
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
    if (this.roots.hear(number, body)) return true;
    const question = this.client.question(number);
    if (question === undefined) return true; // answered before, or withdrawn by its server
    if (!question.upstream.respond(question, envelope, body)) return false;
    this.client.settle(question);
    return true;
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

  /** The gateway cannot wait for the servers any longer. */
  failAll(fault: RpcFault): void {
    this.#end(fault);
  }

  #send(running: RunningServer, call: PatientCall, envelope: Envelope, body: Buffer, edits: Edit[]): void {
    if (call.done || this.session.ended) return; // its client went away while the server was starting
    const { upstream } = running;
    this.client.sent(call, upstream);
    // A server of sessions gave out no state, and would begin anew what the client wants to go on.
    if (envelope.hasState && call.params.sessionMeta !== undefined && !upstream.isStateless)
      return call.fail(unknownState());
    try {
      if (upstream.request(call.party ?? this.client, call, envelope, body, edits)) return;
    } catch (thrown) {
      // One message that nobody foresaw must not end the front, and with it the calls of all others.
      logDefect(this.#parts.log, thrown);
      const words = "a defect in Holdfast; see the gateway's log";
      return call.fail({ code: rpcCode.internal, message: words, reason: "internal" });
    }
    call.fail(slowServer(upstream.server));
  }

  #cancelled(envelope: Envelope, body: Buffer): boolean {
    const found = this.client.find(body.toString("latin1", envelope.requestStart, envelope.requestEnd));
    if (found === undefined) return true; // answered already
    if (found.upstream !== undefined) return found.upstream.cancel(found.call, envelope, body);
    found.call.dismiss();
    return true;
  }

  #progress(envelope: Envelope, body: Buffer): boolean {
    const { progressStart: start, progressEnd: end } = envelope;
    const question = this.client.question(numberAt(body, start, end));
    if (question?.serverToken === undefined) return true; // about a question that has its answer: nobody waits for it
    return question.upstream.send(envelope, body, [{ start, end, text: question.serverToken }]);
  }

  // ── the servers ──

  #seat(server: FrontServer): Seat {
    const { session, introduction, isCrowd, starter, pool, catalog, clock } = this.#parts;
    const onFresh = (seat: Seat, running: RunningServer) => this.#refresh(seat, running);
    const onFacts = () => this.offer.changed();
    const onHold = () => this.memory.write();
    const heard = { onFresh, onFacts, onHold };
    const party = this.client;
    const parts = { server, session, party, introduction, isCrowd, starter, pool, catalog, clock, roots: this.roots };
    return new Seat({ ...parts, ...heard });
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

  #end(fault: RpcFault): void {
    for (const [call, upstream] of this.client.takeCalls()) {
      if (!call.done && upstream?.shared === true) upstream.abandon(call, "the session ended");
      call.fail(fault);
    }
    this.client.hangUp();
  }
}
