/** One lock per key: actions run one after another, and of the waiting ones only the newest. */
import { HoldfastError } from "./errors.ts";

interface Queue {
  /** Settles when the previous action is done; never rejects. */
  tail: Promise<void>;
  newest: number;
  waiting: number;
}

export class KeyedMutex {
  readonly #queues = new Map<string, Queue>();

  /** Throws `scope_replaced`, without running the action, when a newer one arrived during the wait. */
  async run<T>(key: string, action: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(key) ?? { tail: Promise.resolve(), newest: 0, waiting: 0 };
    this.#queues.set(key, queue);
    queue.newest += 1;
    queue.waiting += 1;
    const mine = queue.newest;
    const before = queue.tail;
    const done = Promise.withResolvers<void>();
    queue.tail = done.promise;
    try {
      await before;
      if (mine !== queue.newest)
        throw new HoldfastError(
          "scope_replaced",
          "a later start under the same scope key came first; nothing was started",
        );
      return await action();
    } finally {
      queue.waiting -= 1;
      if (queue.waiting === 0) this.#queues.delete(key);
      done.resolve();
    }
  }
}
