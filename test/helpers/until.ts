/** Waits for what the operating system has no event for. Every wait is bounded, and says what it waited for when it gives up. */
import { setTimeout as delay } from "node:timers/promises";

/** How many times longer than on a quiet machine things may take: `HOLDFAST_TEST_PATIENCE`, for one that others use, too. */
const patience = Number(process.env["HOLDFAST_TEST_PATIENCE"] || 1);

/** A bound in milliseconds, as this machine may have it. */
export const patiently = (ms: number): number => ms * patience;

export interface Bound {
  /** On a quiet machine. */
  boundMs: number;
  /** At first; the longer it lasts, the less often is asked. */
  everyMs?: number;
}

/** What is waited for in vain so far is asked for after a tenth of that time, and this many milliseconds at most. */
const everyMsMax = 30;

/** Asks again until the answer is not undefined or false, and resolves with it. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  bound: Bound,
): Promise<T> {
  const boundMs = patiently(bound.boundMs);
  const { everyMs = 5 } = bound;
  const began = performance.now();
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    const passedMs = performance.now() - began;
    if (passedMs > boundMs) throw new Error(`not within ${boundMs} ms: ${what}`);
    await delay(Math.max(everyMs, Math.min(passedMs / 10, everyMsMax)));
  }
}
