/** One lane per scope key: starts that replace each other go one after another, and only the newest of those that wait goes at all. */
import { HoldfastError } from "./errors.ts";

interface Lane {
  /** Settles when the one before is done; never rejects. */
  tail: Promise<void>;
  newest: number;
  waiting: number;
}

export class Lanes {
  readonly #lanes = new Map<string, Lane>();

  /** Runs `action` alone on its lane. Throws `scope_replaced`, with nothing done, when a newer one came while this one waited. */
  async pass<T>(key: string, action: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(key) ?? { tail: Promise.resolve(), newest: 0, waiting: 0 };
    this.#lanes.set(key, lane);
    lane.newest += 1;
    lane.waiting += 1;
    const mine = lane.newest;
    const before = lane.tail;
    const done = Promise.withResolvers<void>();
    lane.tail = done.promise;
    try {
      await before;
      if (mine !== lane.newest)
        throw new HoldfastError(
          "scope_replaced",
          "a later start under the same scope key came first; nothing was started",
        );
      return await action();
    } finally {
      lane.waiting -= 1;
      if (lane.waiting === 0) this.#lanes.delete(key);
      done.resolve();
    }
  }
}
