/** Waits for what the operating system has no event for. Every wait is bounded, and says what it waited for when it gives up. */
import { setTimeout as delay } from "node:timers/promises";

export interface Bound {
  boundMs: number;
  everyMs?: number;
}

/** Asks again until the answer is not undefined or false, and resolves with it. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  bound: Bound,
): Promise<T> {
  const deadline = performance.now() + bound.boundMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${bound.boundMs} ms: ${what}`);
    await delay(bound.everyMs ?? 5);
  }
}
