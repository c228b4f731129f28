/**
 * What a front after this one must know of an assembled session, in the session's row: who its client is, what it said of
 * its roots, which pooled servers it holds, what it wants to hear of. Its own servers are found by their runs.
 */
import type { Introduction } from "../upstream/handshake.ts";
import type { Assembly } from "./assembly.ts";

/** A client that says more of itself than this many characters has a session that ends with its front. */
const memoMax = 256 * 1024;
/** Raised when the memo's form changes; others are not read. */
const form = 1;

export interface Memo {
  introduction: Introduction;
  /** For a client that names a scope where others have a session. */
  scopeKey?: string | undefined;
  /** Undefined: the client must be asked. */
  roots?: { now?: unknown } | undefined;
  holds: { server: string; roots?: unknown }[];
  subscriptions: [uri: string, server: string][];
  logLevel?: unknown;
  /** Each request may be another client's. */
  isCrowd?: boolean | undefined;
}

/** Undefined: there is none, or none that this front can read. */
export function readMemo(text: string | null): Memo | undefined {
  try {
    const memo = JSON.parse(text ?? "{}") as Memo & { form?: number };
    return memo.form === form ? memo : undefined;
  } catch {
    return undefined; // not ours: the session cannot go on, and the rest must
  }
}

export class Memory {
  readonly #assembly: Assembly;
  readonly #introduction: Introduction;
  #scopeKey: string | undefined;
  #isBegun = false;

  constructor(assembly: Assembly, introduction: Introduction) {
    this.#assembly = assembly;
    this.#introduction = introduction;
  }

  /** From now on the session outlives its front: its client knows how to come back to it. */
  begin(scopeKey?: string): void {
    this.#scopeKey = scopeKey;
    this.#isBegun = true;
    this.write();
  }

  /** Something is another now that the next front must know. */
  write(): void {
    const { session, seats, client, roots, logLevel, isCrowd } = this.#assembly;
    if (!this.#isBegun) return;
    const memo: Memo = {
      introduction: this.#introduction,
      scopeKey: this.#scopeKey,
      roots: roots.wasAsked ? { now: roots.now } : undefined,
      holds: seats.flatMap(({ name, held }) => (held === undefined ? [] : [{ server: name, roots: held.roots }])),
      subscriptions: [...client.subscriptions],
      logLevel,
      ...(isCrowd ? { isCrowd } : {}),
    };
    const text = JSON.stringify({ form, ...memo });
    session.remember(text.length <= memoMax ? text : null);
  }

  /** The session is as it was, but for its servers. */
  restore({ scopeKey, roots, holds, subscriptions, logLevel }: Memo): void {
    const assembly = this.#assembly;
    if (roots !== undefined) assembly.roots.restore(roots.now);
    for (const [uri, server] of subscriptions) assembly.client.subscriptions.set(uri, server);
    assembly.logLevel = logLevel;
    for (const { server, roots: held } of holds)
      assembly.seats.find(({ name, isPooled }) => isPooled && name === server)?.hold(held);
    this.begin(scopeKey);
  }

  /** Its servers are there again, as many as there were. */
  resumed(): void {
    const { client, seats } = this.#assembly;
    for (const [uri, server] of client.subscriptions)
      seats
        .find(({ name }) => name === server)
        ?.ready()
        ?.subscribe(uri, client);
    this.#assembly.offer.show();
  }
}
