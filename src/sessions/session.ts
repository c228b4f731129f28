/** One client and everything started for it. Ends once, for the first reason given. */
import type { EndReason } from "../protocol/run.ts";
import type { SessionView } from "../protocol/api/session.ts";
import { randomWord, type Sources } from "../random.ts";
import type { Clock } from "../clock.ts";
import { Lease } from "../ownership/lease.ts";
import { Scope, type Owned, type ScopeClosed } from "../ownership/scope.ts";
import type { SessionKind, SessionRecord } from "./store.ts";

export type { SessionKind } from "./store.ts";

export interface ClientInfo {
  name: string;
  version: string;
}

export interface SessionParams {
  /** Transport; `mcp` by default. */
  kind?: SessionKind;
  client: ClientInfo;
  server?: string | null;
  /** The parent, with which it ends. */
  parentId?: string | null;
  /** Lease in milliseconds; `session.idleLeaseMs` by default. */
  leaseMs?: number;
}

export interface SessionEvents {
  /** Called when the end begins: from then on the session cannot be found. */
  onEnd(session: Session, gone: Promise<ScopeClosed>): void;
  onAgreed(session: Session, protocolVersion: string): void;
  onMemo(session: Session, memo: string | null): void;
}

export class Session implements Owned {
  /** 192 random bits; never begins with a hyphen, so that it can be a command's argument. */
  readonly id: string;
  readonly kind: SessionKind;
  readonly server: string | null;
  readonly client: ClientInfo;
  readonly parentId: string | null;
  /** Id of the owning token; null: Holdfast itself. */
  readonly tokenId: string | null;
  readonly createdAt: number;
  readonly leaseMs: number;
  readonly scope: Scope;
  readonly lease: Lease;
  readonly runs = new Set<string>();
  readonly #events: SessionEvents;
  readonly #listeners: ((reason: EndReason) => void)[] = [];
  #protocolVersion: string | null;
  #memo: string | null;
  #ended: Promise<ScopeClosed> | undefined;

  /** `parent`: kept alive along with this session. */
  constructor(record: SessionRecord, clock: Clock, events: SessionEvents, parent?: Session) {
    this.id = record.id;
    this.kind = record.kind;
    this.server = record.server;
    this.client = { name: record.clientName, version: record.clientVersion };
    this.parentId = record.parentId;
    this.tokenId = record.tokenId;
    this.createdAt = record.createdAt;
    this.leaseMs = record.leaseMs;
    this.scope = new Scope(`session ${this.id}`);
    const onExpired = () => void this.close("lease-expired");
    this.lease = new Lease(clock, record.leaseMs, onExpired, record.lastSeenAt, parent?.lease);
    this.#protocolVersion = record.protocolVersion;
    this.#memo = record.memo;
    this.#events = events;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** The negotiated protocol revision; null before that. */
  get protocolVersion(): string | null {
    return this.#protocolVersion;
  }

  /** Stored for the next front. */
  agreeOn(protocolVersion: string): void {
    this.#protocolVersion = protocolVersion;
    if (!this.ended) this.#events.onAgreed(this, protocolVersion);
  }

  /** What `remember` last stored, in this front or the previous one. */
  get memo(): string | null {
    return this.#memo;
  }

  /** Stores it for the next front; null = nothing. */
  remember(memo: string | null): void {
    if (this.ended || this.#memo === memo) return;
    this.#memo = memo;
    this.#events.onMemo(this, memo);
  }

  /** `listener` runs once, before anything below closes. */
  onEnd(listener: (reason: EndReason) => void): void {
    this.#listeners.push(listener);
  }

  /** Ends everything the session owns and resolves on proof. Returns the same promise each time. */
  close(reason: EndReason): Promise<ScopeClosed> {
    if (this.#ended === undefined) {
      const { promise, resolve } = Promise.withResolvers<ScopeClosed>();
      this.#ended = promise;
      this.lease.end();
      this.#events.onEnd(this, promise);
      for (const listener of this.#listeners) listener(reason);
      void this.scope.close(reason).then(resolve);
    }
    return this.#ended;
  }

  view(): SessionView {
    const { id, kind, client, parentId, createdAt, leaseMs, server, lease } = this;
    const { lastSeenAt, holders } = lease;
    const runs = [...this.runs];
    return { id, kind, client, parentId, createdAt, lastSeenAt, leaseMs, present: holders > 0, server, runs };
  }
}

/** A new session. */
export function newRecord(
  params: SessionParams,
  tokenId: string | null,
  { clock, random }: Sources,
  idleLeaseMs: number,
): SessionRecord {
  const now = clock.now();
  return {
    id: randomWord(random, 24),
    kind: params.kind ?? "mcp",
    clientName: params.client.name,
    clientVersion: params.client.version,
    server: params.server ?? null,
    parentId: params.parentId ?? null,
    tokenId,
    createdAt: now,
    lastSeenAt: now,
    held: 0,
    leaseMs: params.leaseMs ?? idleLeaseMs,
    protocolVersion: null,
    memo: null,
  };
}
