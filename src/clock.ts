/** The one source of time: objects receive a clock, so that tests need no sleep and a simulation owns every timer. */
import { setTimeout as delay } from "node:timers/promises";

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that only grow, unaffected by changes of the wall clock: for intervals, deadlines and rates. */
  monotonic(): number;
  /** Runs `action` once after `ms`. The owner clears the timer; a pending timer does not keep the process alive. */
  after(ms: number, action: () => void): Timer;
  /** Runs `action` every `ms`, under the same terms as `after`. */
  every(ms: number, action: () => void): Timer;
  /** Runs `action` once pending input and output has been handled. */
  soon(action: () => void): Timer;
  /** Resolves after `ms`, keeping the process alive until then. Rejects with an AbortError when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Timer {
  clear(): void;
}

/** Longest delay that setTimeout takes, in milliseconds; longer ones would fire at once. */
const delayMsMax = 2_147_483_647;

const bounded = (ms: number) => Math.min(Math.max(ms, 0), delayMsMax);

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, action) {
    const timer = setTimeout(action, bounded(ms)).unref();
    return { clear: () => clearTimeout(timer) };
  },
  every(ms, action) {
    const timer = setInterval(action, bounded(ms)).unref();
    return { clear: () => clearInterval(timer) };
  },
  soon(action) {
    const immediate = setImmediate(action);
    return { clear: () => clearImmediate(immediate) };
  },
  sleep: (ms, signal) => delay(bounded(ms), undefined, { signal }),
};

/** Aborts with a TimeoutError after `ms`, like `AbortSignal.timeout`. Dispose of it once the work is done. */
export function abortAfter(clock: Clock, ms: number): Disposable & { signal: AbortSignal } {
  const controller = new AbortController();
  const late = () => controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
  const timer = clock.after(ms, late);
  return { signal: controller.signal, [Symbol.dispose]: () => timer.clear() };
}

/** What comes within `boundMs`, or else `late`. */
export async function inTime<T, L>(clock: Clock, coming: Promise<T>, boundMs: number, late: L): Promise<T | L> {
  const over = Promise.withResolvers<L>();
  const timer = clock.after(boundMs, () => over.resolve(late));
  return Promise.race([coming, over.promise]).finally(() => timer.clear());
}

/** Resolves once pending input and output has been handled. */
export function turn(clock: Clock): Promise<void> {
  return new Promise((resolve) => void clock.soon(resolve));
}
