/** All sessions of this gateway, with a cap: found by id, owned by their parent or the gateway, written down for the next front. */
import type { SessionView } from "../protocol/api/shapes.ts";
import type { Sources } from "../random.ts";
import type { Timer } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { EndReason } from "../protocol/keeper/messages.ts";
import type { Scope, ScopeClosed } from "../ownership/scope.ts";
import { mayAct, shortId, type Asker } from "./owner.ts";
import { newRecord, Session, type SessionEvents, type SessionParams } from "./session.ts";
import type { SessionKind, SessionRecord, SessionStore } from "./store.ts";

export interface SessionLimits {
  idleLeaseMs: number;
  sessionsMax: number;
}

/** Sessions one below another: an agent's agent's agent. More is a loop. */
const depthMax = 8;
/** Ended sessions whose owner is still known, to show their ids in events that come late. */
const formerMax = 1024;
/** How stale a row's "last seen" may be. Calls do not write: the rows of those that were seen are written together. */
const flushMs = 5000;

export class SessionSet {
  readonly #sessions = new Map<string, Session>();
  /** What the store holds of each session's presence, so that only changes are written. */
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

  /** Without a store the sessions end with this process. */
  constructor(scope: Scope, sources: Sources, limits: SessionLimits, log: Log, store?: SessionStore) {
    // Sessions do not need each other: one stubborn tree must not hold up the end of the rest.
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
   * A session of the asker's; null: of Holdfast itself. Throws `session_limit` at the cap, `session_unknown` for a parent that is
   * not there, or is not the asker's.
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
   * Takes over what the front before left in the store, oldest first. Call it once, before anything is opened. A session
   * whose parent is gone is not taken over. What the sessions owned is not here: who holds it gives it back to them.
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
      // Who was present when the front died was seen until then; for the rest the row may be `flushMs` behind.
      const seenAt = held === 1 ? now : Math.min(now, lastSeenAt + flushMs);
      restored.push(this.#adopt({ ...record, lastSeenAt: seenAt }));
    }
    return restored;
  }

  /** For Holdfast itself, never for an id that a caller gave: it asks nobody whose the session is. */
  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** The session, if it is there and the asker may act on it: whose it is not learns nothing, not even that it is there. */
  find(id: string, asker: Asker): Session | undefined {
    const session = this.#sessions.get(id);
    return session !== undefined && mayAct(asker, session.tokenId) ? session : undefined;
  }

  /** As `find`. Throws `session_unknown`. */
  mustFind(id: string, asker: Asker): Session {
    return this.find(id, asker) ?? unknown(id);
  }

  /** Resolves when all that the session owned is gone. Throws `session_unknown`. */
  end(id: string, reason: EndReason, asker: Asker): Promise<ScopeClosed> {
    return this.mustFind(id, asker).close(reason);
  }

  /** Ends the sessions of tokens that are no longer good, by the ids of those tokens. */
  endThoseOf(isOver: (tokenId: string) => boolean): void {
    for (const session of this.#sessions.values())
      if (session.tokenId !== null && isOver(session.tokenId)) void session.close("session-ended"); // what is left is logged
  }

  /** Resolves when no session is open any more, or after `boundMs`; then those that are open stay so. */
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

  /** Writes down who was seen when. The front's last act, and otherwise done every few seconds. */
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

  /** All of them; the ids of those that the asker may not act on are cut short. */
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

  /** The id of a session as the asker may see it. */
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

  /** A session that ends is not found any more, but its scope holds it until all it owned is gone. */
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
