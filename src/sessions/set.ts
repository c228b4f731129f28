/**
 * All sessions of this gateway, bounded, found by id, owned by their parent or the gateway, stored for the next front.
 */
import type { EndReason } from "../protocol/run.ts";
import type { SessionView } from "../protocol/api/session.ts";
import type { Sources } from "../random.ts";
import type { Timer } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Scope, ScopeClosed } from "../ownership/scope.ts";
import { mayAct, shortId, type Asker } from "./owner.ts";
import { newRecord, Session, type SessionEvents, type SessionParams } from "./session.ts";
import type { SessionKind, SessionRecord, SessionStore } from "./store.ts";

export interface SessionLimits {
  idleLeaseMs: number;
  sessionsMax: number;
}

/** Deepest nesting; more is a loop. */
const depthMax = 8;
/** Ended sessions whose owners are remembered, to show their ids in late events. */
const formerMax = 1024;
/** Longest delay of a stored "last seen"; rows are updated together, so calls do not write. */
const flushMs = 5000;

export class SessionSet {
  readonly #sessions = new Map<string, Session>();
  /** What the store knows of each session's presence, to write changes only. */
  readonly #written = new Map<Session, { lastSeenAt: number; held: boolean }>();
  readonly #scope: Scope;
  readonly #sources: Sources;
  readonly #limits: SessionLimits;
  readonly #log: Log;
  readonly #store: SessionStore | undefined;
  readonly #events: SessionEvents;
  readonly #formerOwners = new Map<string, string | null>();
  #flushTimer: Timer | undefined;
  #onEmpty: (() => void) | undefined;

  /** Without a store sessions end with this process. */
  constructor(scope: Scope, sources: Sources, limits: SessionLimits, log: Log, store?: SessionStore) {
    // Sessions are independent: one stubborn tree must not delay the rest.
    this.#scope = scope.child("sessions", { independent: true });
    this.#sources = sources;
    this.#limits = limits;
    this.#log = log;
    this.#store = store;
    this.#events = {
      onEnd: (ended, gone) => this.#leave(ended, gone),
      onAgreed: ({ id }, protocolVersion) => store?.agreed(id, protocolVersion),
      onMemo: ({ id }, memo) => store?.remembered(id, memo),
    };
  }

  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Opens a session of the asker's (null: Holdfast itself). Throws `session_limit`, or `session_unknown` for a parent
   * that is missing or another token's.
   */
  open(params: SessionParams, asker: Asker | null): Session {
    const { sessionsMax, idleLeaseMs } = this.#limits;
    if (this.#sessions.size >= sessionsMax) {
      const advice = "end some (`holdfast sessions list`, `holdfast sessions end ID`) or raise the limit in the config";
      throw new HoldfastError("session_limit", `session.sessionsMax = ${sessionsMax} sessions are open; ${advice}`);
    }
    const record = newRecord(params, asker?.id ?? null, this.#sources, idleLeaseMs);
    if (record.parentId !== null) this.#checkParent(record.parentId, asker);
    this.#store?.add(record);
    const session = this.#adopt(record);
    const { id, kind, clientName: client, parentId: parent } = record;
    this.#log("session.opened", { session: id, kind, client, parent });
    return session;
  }

  /**
   * Restores the previous front's sessions, oldest first, without children of missing parents. Call it once, before
   * opening any. Their runs are returned by those who hold them.
   */
  restore(): Session[] {
    const restored: Session[] = [];
    for (const record of this.#store?.load() ?? []) {
      const { id, parentId, held, lastSeenAt } = record;
      if (parentId !== null && !this.#sessions.has(parentId)) {
        this.#store?.remove(id);
        continue;
      }
      const now = this.#sources.clock.now();
      // Clients present at the front's death were seen until then; other rows may be `flushMs` old.
      const seenAt = held === 1 ? now : Math.min(now, lastSeenAt + flushMs);
      restored.push(this.#adopt({ ...record, lastSeenAt: seenAt }));
    }
    return restored;
  }

  /** For Holdfast itself, never for ids from callers: no ownership check. */
  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** The session if the asker may act on it; otherwise indistinguishable from an unknown id. */
  find(id: string, asker: Asker): Session | undefined {
    const session = this.#sessions.get(id);
    return session !== undefined && mayAct(asker, session.tokenId) ? session : undefined;
  }

  /** As `find`. Throws `session_unknown`. */
  mustFind(id: string, asker: Asker): Session {
    return this.find(id, asker) ?? unknown(id);
  }

  /** Resolves when everything it owned is gone. Throws `session_unknown`. */
  end(id: string, reason: EndReason, asker: Asker): Promise<ScopeClosed> {
    return this.mustFind(id, asker).close(reason);
  }

  /** Ends the sessions of these invalid tokens. */
  endThoseOf(isOver: (tokenId: string) => boolean): void {
    for (const session of this.#sessions.values())
      if (session.tokenId !== null && isOver(session.tokenId)) void session.close("session-ended"); // survivors are logged
  }

  /** Resolves when every session has ended, or after `boundMs`. */
  empty(boundMs: number): Promise<void> {
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#sources.clock.after(boundMs, resolve);
      this.#onEmpty = () => {
        timer.clear();
        resolve();
      };
    });
  }

  /** Stores presence, every few seconds and at the front's end. */
  flush(): void {
    const rows = [];
    for (const [session, written] of this.#written) {
      const { lastSeenAt, holders } = session.lease;
      const held = holders > 0;
      if (written.lastSeenAt === lastSeenAt && written.held === held) continue;
      Object.assign(written, { lastSeenAt, held });
      rows.push({ id: session.id, lastSeenAt, held });
    }
    this.#store?.seen(rows);
  }

  /** All sessions, with truncated ids where the asker may not act. */
  list(asker: Asker): SessionView[] {
    return [...this.#sessions.values()].map((session) => {
      const view = session.view();
      const parentId = view.parentId === null ? null : this.show(view.parentId, asker);
      return { ...view, id: this.show(view.id, asker), parentId };
    });
  }

  get kinds(): SessionKind[] {
    return [...this.#sessions.values()].map(({ kind }) => kind);
  }

  /** A session id as the asker may see it. */
  show(id: string, asker: Asker): string {
    const session = this.#sessions.get(id);
    return mayAct(asker, session === undefined ? this.#formerOwners.get(id) : session.tokenId) ? id : shortId(id);
  }

  #checkParent(parentId: string, asker: Asker | null): void {
    if (asker !== null) this.mustFind(parentId, asker);
    let depth = 1;
    const above = (id: string) => (this.#sessions.get(id) ?? unknown(id)).parentId;
    for (let at: string | null = parentId; at !== null; at = above(at)) {
      depth += 1;
      if (depth <= depthMax) continue;
      throw new HoldfastError("session_limit", `sessions may stand ${depthMax} deep; open this one higher up`);
    }
  }

  #adopt(record: SessionRecord): Session {
    const parent = this.#sessions.get(record.parentId ?? "");
    const session = new Session(record, this.#sources.clock, this.#events, parent);
    this.#sessions.set(session.id, session);
    if (this.#store !== undefined) {
      this.#written.set(session, { lastSeenAt: record.lastSeenAt, held: record.held === 1 });
      this.#flushTimer ??= this.#armFlush();
    }
    return this.#ownerOf(session).add(session, `session ${session.id}`);
  }

  #ownerOf({ parentId }: Session): Scope {
    return parentId === null ? this.#scope : (this.#sessions.get(parentId)?.scope ?? this.#scope);
  }

  #armFlush(): Timer {
    return this.#sources.clock.after(flushMs, () => {
      this.flush();
      this.#flushTimer = this.#armFlush();
    });
  }

  /** An ending session is unknown, but its scope holds it until all it owned is gone. */
  #leave(session: Session, gone: Promise<ScopeClosed>): void {
    const owner = this.#ownerOf(session);
    this.#sessions.delete(session.id);
    this.#rememberOwner(session);
    this.#written.delete(session);
    this.#store?.remove(session.id);
    if (this.#sessions.size === 0) this.#allLeft();
    const { id, server } = session;
    void gone.then(({ reason, failures }) => {
      owner.release(session);
      this.#log("session.ended", { session: id, reason });
      for (const { name, error } of failures) {
        this.#log("session.leftover", { session: id, server, reason, name, error: String(error) });
      }
    });
  }

  #rememberOwner({ id, tokenId }: Session): void {
    this.#formerOwners.set(id, tokenId);
    const [oldest] = this.#formerOwners.keys();
    if (this.#formerOwners.size > formerMax && oldest !== undefined) this.#formerOwners.delete(oldest);
  }

  #allLeft(): void {
    this.#flushTimer?.clear();
    this.#flushTimer = undefined;
    this.#onEmpty?.();
  }
}

function unknown(id: string): never {
  const message = `no session ${id}; \`holdfast sessions list\` shows those that are open`;
  throw new HoldfastError("session_unknown", message);
}
