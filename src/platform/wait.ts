/** Waits for the kernel by polling: it has no faster event for "this tree is empty". */
import type { Clock } from "../clock.ts";

/** Looks at once, then every 1 ms, slowing to every 20 ms; true as soon as `look` is, false after `boundMs`. */
export async function untilTrue(look: () => boolean, boundMs: number, clock: Clock): Promise<boolean> {
  const end = clock.monotonic() + boundMs;
  let pauseMs = 1;
  for (;;) {
    if (look()) return true;
    const leftMs = end - clock.monotonic();
    if (leftMs <= 0) return false;
    await clock.sleep(Math.min(pauseMs, leftMs));
    pauseMs = Math.min(pauseMs * 1.2, 20);
  }
}
