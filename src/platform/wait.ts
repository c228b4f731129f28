/** Waiting for the kernel: it has no event for "this tree is empty" that comes sooner than looking. */
import { setTimeout as delay } from "node:timers/promises";

/** Looks at once, then every 1 ms, slowly less often up to every 20 ms; true as soon as `look` is, false after `boundMs`. */
export async function untilTrue(look: () => boolean, boundMs: number): Promise<boolean> {
  const end = performance.now() + boundMs;
  let pauseMs = 1;
  for (;;) {
    if (look()) return true;
    const leftMs = end - performance.now();
    if (leftMs <= 0) return false;
    await delay(Math.min(pauseMs, leftMs));
    pauseMs = Math.min(pauseMs * 1.2, 20);
  }
}
