/** One session's connection to one server: cold until needed, then a process of its own or a hold on a pooled one. */
import { hash } from "node:crypto";
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { EndReason } from "../../protocol/run.ts";
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import type { HeldRun } from "../../protocol/keeper/messages.ts";
import type { Session } from "../../sessions/session.ts";
import type { Scope, ScopeClosed } from "../../ownership/scope.ts";
import { learnLists, type Introduction } from "./handshake.ts";
import type { Client } from "./client.ts";
import type { Breaker } from "./breaker.ts";
import type { Catalog, ServerMetadata } from "./catalog.ts";
import type { RunHandoff } from "./run-handoff.ts";
import type { Opening } from "./opening.ts";
import { gone, type StartOrder } from "./order.ts";
import { canonical, poolKey, pooledIntroduction, type Pool, type PoolHold, type PoolRequest } from "./pool.ts";
import type { RunningServer } from "./running-server.ts";
import type { Starter } from "./starter.ts";

/** The roots of one client. A new object means a new answer. */
export interface ClientRoots {
  /** Undefined for a client without any. */
  readonly now: unknown;
  readonly wasAsked: boolean;
  /** Asks the client unless its roots are current. Never rejects: a silent client has unique roots. */
  learn(): Promise<unknown>;
}

export interface BindingParts {
  server: FrontServer;
  session: Session;
  client: Client;
  introduction: Introduction;
  /** Each call may be another client's. */
  isAnonymous: boolean;
  /** Its client starts the server itself, and the session ends with it. */
  isPassThrough: boolean;
  starter: Starter;
  pool: Pool;
  catalog: Catalog;
  roots: ClientRoots;
  clock: Clock;
  /** A new process needs the session's state replayed. */
  onFresh: (binding: Binding, running: RunningServer) => void;
  onMetadata: () => void;
  /** The held pooled server changed. */
  onHold: () => void;
  /** Its own server is gone; for a pass-through session also before it was up. */
  onClosed: (outcome: string, reason: EndReason) => void;
}

export class Binding {
  readonly server: FrontServer;
  readonly metadataKey: string;
  readonly #parts: BindingParts;
  readonly #introduction: Introduction;
  /** The fetch of changed lists. Never rejects. */
  #learning: Promise<void> | undefined;
  #ownMetadata: ServerMetadata | undefined;
  #running: RunningServer | undefined;
  #starting: Promise<RunningServer> | undefined;
  #hold: PoolHold | undefined;
  /** The client's roots at the time of the hold. */
  #holdRoots: unknown;
  /** Owns the processes of this binding alone; created with the first of them. */
  #scope: Scope | undefined;
  #left = false;

  constructor(parts: BindingParts) {
    this.#parts = parts;
    this.server = parts.server;
    const isPooled = parts.server.share === "pool";
    this.#introduction = isPooled ? pooledIntroduction(parts.introduction) : parts.introduction;
    this.metadataKey = metadataKey(parts.server, this.#introduction);
  }

  get name(): string {
    return this.server.name;
  }

  get isPooled(): boolean {
    return this.server.share === "pool";
  }

  /** Shared by all sessions. */
  get breaker(): Breaker {
    return this.#parts.starter.breaker(this.server);
  }

  /** The server's metadata, as far as known without a start. */
  get metadata(): ServerMetadata | undefined {
    return this.#ownMetadata ?? this.#parts.catalog.get(this.metadataKey);
  }

  /** The session is over, or the config changed the server: the binding is retired. */
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

  /** The server, started if needed. */
  need(): Promise<RunningServer> {
    const ready = this.ready();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#left || this.#parts.isPassThrough) return Promise.reject(gone());
    this.#starting ??= (this.isPooled ? this.#share(true) : this.#own()).finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** Starts the server with the client's own `initialize`. Rejects when the server fails to come up. */
  async open(opening: Opening): Promise<void> {
    const { starter } = this.#parts;
    this.#starting = starter.start({ ...this.#order(), opening }).finally(() => (this.#starting = undefined));
    this.#running = await this.#starting;
  }

  /** Whether the metadata is known and no fetch is under way. */
  get isKnown(): boolean {
    return this.metadata !== undefined && this.#learning === undefined;
  }

  /** The metadata, after a start if it is unknown. The client cannot be asked anything yet. */
  async learn(): Promise<ServerMetadata> {
    await this.#learning;
    if (this.metadata === undefined) {
      const start = this.isPooled
        ? (this.#starting ??= this.#share(false).finally(() => (this.#starting = undefined)))
        : this.need();
      const running = await start;
      // A server of the previous front may be running with its metadata lost.
      if (this.metadata === undefined) await this.#relearn(running);
    }
    const { metadata } = this;
    if (metadata === undefined) throw new Error(`nothing is known of ${this.name}`);
    return metadata;
  }

  /** The roots under which a pooled server is held; undefined: none is held. */
  get held(): { roots: unknown } | undefined {
    return this.#hold === undefined ? undefined : { roots: this.#holdRoots };
  }

  /** Restores the hold of the previous front. */
  hold(roots: unknown): void {
    const { pool, client, roots: known } = this.#parts;
    const isNow = canonical(roots ?? null) === canonical(known.now ?? null);
    this.#holdRoots = isNow ? known.now : roots;
    this.#hold = pool.hold(this.#request(this.#holdRoots), client);
  }

  /** Takes over its own server from the previous front. Rejects with the reason of a failure. */
  async resume(held: HeldRun, blob: RunHandoff): Promise<void> {
    if (this.isPooled || this.#running !== undefined)
      throw new HoldfastError("run_unknown", "its session has no place for it");
    this.#running = await this.#parts.starter.resume(this.#order(), held, blob);
  }

  /** The session is over or no longer needs it. Resolves when its server is gone, unless other sessions hold it. */
  async close(reason: EndReason): Promise<ScopeClosed | void> {
    this.#left = true;
    return this.isPooled ? this.#hold?.release(reason) : this.#scope?.close(reason);
  }

  /** Its server was removed: calls in flight end with `why`. Resolves as `close` does. */
  end(why: string): Promise<ScopeClosed | void> {
    if (!this.isPooled) this.#running?.stop("config-changed", why);
    return this.close("config-changed");
  }

  /** Its server changed: calls in flight run to completion, new ones are refused. Resolves as `close` does. */
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
    this.#ownMetadata = undefined;
    const running = await this.#parts.starter.start(this.#order());
    this.#running = running;
    this.#parts.onFresh(this, running);
    return running;
  }

  #order(): StartOrder {
    const { server, session, client, isAnonymous, isPassThrough, onClosed } = this.#parts;
    return {
      server,
      introduction: this.#introduction,
      metadataKey: this.metadataKey,
      shared: isAnonymous,
      passesAll: isPassThrough,
      onClosed,
      client,
      scope: (this.#scope ??= session.scope.child(`binding at ${this.name}`)),
      sessionId: session.id,
      onRun: (id, alive) => void (alive ? session.runs.add(id) : session.runs.delete(id)),
      onListChanged: (changed) => this.#learnAnew(changed),
    };
  }

  #request(roots: unknown): PoolRequest {
    return { server: this.server, introduction: this.#introduction, metadataKey: this.metadataKey, roots };
  }

  /** A hold on the pooled server for clients of this kind. */
  async #share(mayAsk: boolean): Promise<RunningServer> {
    const { client, pool, session, roots } = this.#parts;
    // A client with unknown roots shares with no other.
    const own = mayAsk || roots.wasAsked ? await roots.learn() : { unknownTo: session.id };
    const request = this.#request(own);
    const old = this.#hold;
    const fresh = old?.key === poolKey(request) ? old : pool.hold(request, client);
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

  /** A server may show different lists to its session, e.g. after a login. */
  async #relearn(running: RunningServer): Promise<void> {
    const { upstream, initialize } = running;
    const { clock } = this.#parts;
    try {
      const lists = await learnLists(upstream, initialize.capabilities, clock);
      this.#ownMetadata = this.#parts.catalog.loose({ initialize, lists, learnedAt: clock.now() });
      this.#parts.onMetadata();
    } catch {
      // The server ended or refused: the earlier lists stay.
    }
  }
}

/** Metadata may depend on the client's introduction. */
function metadataKey(server: FrontServer, { protocolVersion, capabilities }: Introduction): string {
  const text = `${protocolVersion} ${canonical(capabilities)}`;
  return `${server.name}-${server.fingerprint}-${hash("sha256", text, "hex").slice(0, 12)}`;
}
