/** Waiting for the kernel: it has no event for "this tree is empty" that comes sooner than looking. */
import { systemClock } from "../clock.ts";

/** Looks at once, then every 1 ms, slowly less often up to every 20 ms; true as soon as `look` is, false after `boundMs`. */
export async function untilTrue(look: () => boolean, boundMs: number): Promise<boolean> {
  const end = systemClock.monotonic() + boundMs;
  let pauseMs = 1;
  for (;;) {
    if (look()) return true;
    const leftMs = end - systemClock.monotonic();
    if (leftMs <= 0) return false;
    await systemClock.sleep(Math.min(pauseMs, leftMs));
    pauseMs = Math.min(pauseMs * 1.2, 20);
  }
}
