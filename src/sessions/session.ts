/** One client's stay: owns what was started for it. Ended once, for one reason, by whoever is first. */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { EndReason } from "../keeper/protocol/messages.ts";
import { Lease } from "../ownership/lease.ts";
import { Scope, type Owned, type ScopeClosed } from "../ownership/scope.ts";

export interface ClientInfo {
  name: string;
  version: string;
}

/** The shape of one entry of `sessions list --json`. Times are milliseconds since the epoch. */
export interface SessionView {
  id: string;
  kind: "mcp";
  client: ClientInfo;
  parentId: string | null;
  createdAt: number;
  lastSeenAt: number;
  server: string;
  /** Ids of the runs that this session owns. */
  runs: string[];
}

export interface SessionParams {
  client: ClientInfo;
  server: string;
}

type SessionEnded = (session: Session, gone: Promise<ScopeClosed>) => void;

export class Session implements Owned {
  /** 192 random bits: who does not know it cannot guess it. */
  readonly id = randomBytes(24).toString("base64url");
  readonly server: string;
  readonly client: ClientInfo;
  readonly createdAt: number;
  readonly scope: Scope = new Scope(`session ${this.id}`);
  readonly lease: Lease;
  readonly runs = new Set<string>();
  readonly #onEnd: SessionEnded;
  readonly #listeners: ((reason: EndReason) => void)[] = [];
  #ended: Promise<ScopeClosed> | undefined;

  /** `onEnd` runs as soon as the end begins: from then on nobody may find the session. */
  constructor(params: SessionParams, clock: Clock, idleLeaseMs: number, onEnd: SessionEnded) {
    this.server = params.server;
    this.client = params.client;
    this.createdAt = clock.now();
    this.lease = new Lease(clock, idleLeaseMs, () => void this.close("lease-expired"));
    this.#onEnd = onEnd;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** `listener` runs once, before anything below the session is closed. */
  onEnd(listener: (reason: EndReason) => void): void {
    this.#listeners.push(listener);
  }

  /** Ends all that the session owns; resolves when it is proven gone. The same promise each time. */
  close(reason: EndReason): Promise<ScopeClosed> {
    if (this.#ended === undefined) {
      const { promise, resolve } = Promise.withResolvers<ScopeClosed>();
      this.#ended = promise;
      this.lease.end();
      this.#onEnd(this, promise);
      for (const listener of this.#listeners) listener(reason);
      void this.scope.close(reason).then(resolve);
    }
    return this.#ended;
  }

  view(): SessionView {
    return {
      id: this.id,
      kind: "mcp",
      client: this.client,
      parentId: null,
      createdAt: this.createdAt,
      lastSeenAt: this.lease.lastSeenAt,
      server: this.server,
      runs: [...this.runs],
    };
  }
}
