/** One session's place at one server: cold until it is needed, then a process of its own or a hold on a pooled one. */
import { hash } from "node:crypto";
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import type { EndReason, FrontServer, HeldRun } from "../../protocol/keeper/messages.ts";
import type { Session } from "../../sessions/session.ts";
import type { Scope, ScopeClosed } from "../../ownership/scope.ts";
import { learnLists, type Introduction } from "../upstream/handshake.ts";
import type { Party } from "../upstream/party.ts";
import type { Breaker } from "./breaker.ts";
import type { Catalog, ServerFacts } from "./catalog.ts";
import type { RunBlob } from "../run-blob.ts";
import type { Opening } from "./opening.ts";
import { gone, type StartOrder } from "./order.ts";
import { canonical, poolKey, pooledIntroduction, type Pool, type PoolHold, type PoolRequest } from "./pool.ts";
import type { RunningServer } from "./running-server.ts";
import type { Starter } from "./starter.ts";

/** The roots of one client. A value that is another object is another answer. */
export interface ClientRoots {
  /** Undefined for a client without any. */
  readonly now: unknown;
  readonly wasAsked: boolean;
  /** Asks the client if it was not asked since its roots changed. Never rejects: a client that does not say has roots of its own. */
  learn(): Promise<unknown>;
}

export interface SeatParts {
  server: FrontServer;
  session: Session;
  party: Party;
  introduction: Introduction;
  /** Each call may be another client's. */
  isCrowd: boolean;
  /** Its client brings the server up itself, and the session ends with it. */
  isPassThrough: boolean;
  starter: Starter;
  pool: Pool;
  catalog: Catalog;
  roots: ClientRoots;
  clock: Clock;
  /** A server was started that knows nothing of what the session told the one before it. */
  onFresh: (seat: Seat, running: RunningServer) => void;
  onFacts: () => void;
  /** It holds another pooled server than before. */
  onHold: () => void;
  /** Its own server is gone; where its client brings it up, also before it was up. */
  onClosed: (outcome: string, reason: EndReason) => void;
}

export class Seat {
  readonly server: FrontServer;
  readonly factsKey: string;
  readonly #parts: SeatParts;
  readonly #introduction: Introduction;
  /** Lists that the server said have changed, on their way. Never rejects. */
  #learning: Promise<void> | undefined;
  #ownFacts: ServerFacts | undefined;
  #running: RunningServer | undefined;
  #starting: Promise<RunningServer> | undefined;
  #hold: PoolHold | undefined;
  /** The client's roots as they were when the hold was taken. */
  #holdRoots: unknown;
  /** Owns the processes that are this seat's alone; made with the first of them. */
  #scope: Scope | undefined;
  #left = false;

  constructor(parts: SeatParts) {
    this.#parts = parts;
    this.server = parts.server;
    const isPooled = parts.server.share === "pool";
    this.#introduction = isPooled ? pooledIntroduction(parts.introduction) : parts.introduction;
    this.factsKey = factsKey(parts.server, this.#introduction);
  }

  get name(): string {
    return this.server.name;
  }

  get isPooled(): boolean {
    return this.server.share === "pool";
  }

  /** The server's failures, of all sessions together. */
  get breaker(): Breaker {
    return this.#parts.starter.breaker(this.server);
  }

  /** What is known of the server without starting it. */
  get facts(): ServerFacts | undefined {
    return this.#ownFacts ?? this.#parts.catalog.get(this.factsKey);
  }

  /** The session is over, or the config says another thing of its server: it serves nobody any more. */
  get left(): boolean {
    return this.#left;
  }

  /** The server, if it runs and takes calls. */
  ready(): RunningServer | undefined {
    const { roots } = this.#parts;
    if (this.#hold !== undefined) {
      const isRight = roots.wasAsked && this.#holdRoots === roots.now;
      return isRight ? this.#hold.running() : undefined;
    }
    return this.#running?.usable === true ? this.#running : undefined;
  }

  /** The server, started if need be. */
  need(): Promise<RunningServer> {
    const ready = this.ready();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#left || this.#parts.isPassThrough) return Promise.reject(gone());
    this.#starting ??= (this.isPooled ? this.#share(true) : this.#own()).finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** Its server is brought up by its client's own `initialize`. Rejects when it does not come up. */
  async open(opening: Opening): Promise<void> {
    const { starter } = this.#parts;
    this.#starting = starter.start({ ...this.#order(), opening }).finally(() => (this.#starting = undefined));
    this.#running = await this.#starting;
  }

  /** Whether its facts are known, and not on their way from the server this moment. */
  get isKnown(): boolean {
    return this.facts !== undefined && this.#learning === undefined;
  }

  /** Its facts, by a start if they are not known yet. The client cannot be asked anything yet. */
  async learn(): Promise<ServerFacts> {
    await this.#learning;
    if (this.facts === undefined) {
      const start = this.isPooled
        ? (this.#starting ??= this.#share(false).finally(() => (this.#starting = undefined)))
        : this.need();
      const running = await start;
      // A server of the front before this one may be there without what was known of it.
      if (this.facts === undefined) await this.#relearn(running);
    }
    const { facts } = this;
    if (facts === undefined) throw new Error(`nothing is known of ${this.name}`);
    return facts;
  }

  /** The roots under which a pooled server is held; undefined: none is held. */
  get held(): { roots: unknown } | undefined {
    return this.#hold === undefined ? undefined : { roots: this.#holdRoots };
  }

  /** Takes hold as in the front before. */
  hold(roots: unknown): void {
    const { pool, party, roots: client } = this.#parts;
    const isNow = canonical(roots ?? null) === canonical(client.now ?? null);
    this.#holdRoots = isNow ? client.now : roots;
    this.#hold = pool.hold(this.#request(this.#holdRoots), party);
  }

  /** Takes over its own server of the front before. Rejects with why that cannot be done. */
  async resume(held: HeldRun, blob: RunBlob): Promise<void> {
    if (this.isPooled || this.#running !== undefined)
      throw new HoldfastError("run_unknown", "its session has no place for it");
    this.#running = await this.#parts.starter.resume(this.#order(), held, blob);
  }

  /** Its session is over, or it is not needed any more. Resolves when a server that nobody else holds is gone. */
  async close(reason: EndReason): Promise<ScopeClosed | void> {
    this.#left = true;
    return this.isPooled ? this.#hold?.release(reason) : this.#scope?.close(reason);
  }

  /** Its server is not offered any more: calls in flight end with `why`. Resolves as `close` does. */
  end(why: string): Promise<ScopeClosed | void> {
    if (!this.isPooled) this.#running?.stop("config-changed", why);
    return this.close("config-changed");
  }

  /** Its server is another now: takes no new calls, those in flight go to their end. Resolves as `close` does. */
  async drain(): Promise<ScopeClosed | void> {
    this.#left = true;
    if (this.isPooled) await this.#hold?.gone();
    else if (this.#running?.usable === true && this.#starting === undefined) {
      this.#running.retire("config-changed");
      await this.#running.gone;
    }
    return this.close("config-changed");
  }

  async #own(): Promise<RunningServer> {
    this.#ownFacts = undefined;
    const running = await this.#parts.starter.start(this.#order());
    this.#running = running;
    this.#parts.onFresh(this, running);
    return running;
  }

  #order(): StartOrder {
    const { server, session, party, isCrowd, isPassThrough, onClosed } = this.#parts;
    return {
      server,
      introduction: this.#introduction,
      factsKey: this.factsKey,
      shared: isCrowd,
      passesAll: isPassThrough,
      onClosed,
      party,
      scope: (this.#scope ??= session.scope.child(`seat at ${this.name}`)),
      sessionId: session.id,
      onRun: (id, alive) => void (alive ? session.runs.add(id) : session.runs.delete(id)),
      onListChanged: (changed) => this.#learnAnew(changed),
    };
  }

  #request(roots: unknown): PoolRequest {
    return { server: this.server, introduction: this.#introduction, factsKey: this.factsKey, roots };
  }

  /** A hold on the pooled server of our client's kind. */
  async #share(mayAsk: boolean): Promise<RunningServer> {
    const { party, pool, session, roots } = this.#parts;
    // Until its roots are known a client shares with nobody.
    const own = mayAsk || roots.wasAsked ? await roots.learn() : { unknownTo: session.id };
    const request = this.#request(own);
    const old = this.#hold;
    const fresh = old?.key === poolKey(request) ? old : pool.hold(request, party);
    this.#hold = fresh;
    this.#holdRoots = own;
    if (fresh !== old) this.#parts.onHold();
    if (this.#left) {
      await fresh.release("session-ended");
      throw gone();
    }
    if (old !== undefined && old !== fresh) void old.release("session-ended");
    const before = fresh.running();
    const running = await fresh.need();
    if (before === undefined) this.#parts.onFresh(this, running);
    return running;
  }

  #learnAnew(running: RunningServer): Promise<void> {
    const learning = this.#relearn(running).finally(() => {
      if (this.#learning === learning) this.#learning = undefined;
    });
    return (this.#learning = learning);
  }

  /** A server of one session may show lists of its own to it, e.g. after a login. */
  async #relearn(running: RunningServer): Promise<void> {
    const { upstream, initialize } = running;
    const { clock } = this.#parts;
    try {
      const lists = await learnLists(upstream, initialize.capabilities, clock);
      this.#ownFacts = this.#parts.catalog.loose({ initialize, lists, learnedAt: clock.now() });
      this.#parts.onFacts();
    } catch {
      // The server ended meanwhile, or does not tell them: the lists that were known before hold again.
    }
  }
}

/** Facts may differ with what the server was told of its client. */
function factsKey(server: FrontServer, { protocolVersion, capabilities }: Introduction): string {
  const text = `${protocolVersion} ${canonical(capabilities)}`;
  return `${server.name}-${server.fingerprint}-${hash("sha256", text, "hex").slice(0, 12)}`;
}
