/** The flags of Node.js that a keeper runs with, and the step that replaces this process by one that has them. */
import { becomeAgain } from "../platform/self/index.ts";

/**
 * A keeper must not have an inspector that a signal can open: another process of this user could run code in it. The heap
 * limits keep its memory flat: V8 would grow the heap for a burst of sessions and not shrink it afterwards.
 */
const keeperFlags = [
  "--disable-sigusr1",
  "--max-semi-space-size=1",
  "--max-old-space-size=256",
  "--disable-warning=ExperimentalWarning",
];

/** Replaces this process once, keeping its pid; afterwards it does nothing. */
export function becomeKeeper(): void {
  const missing = keeperFlags.filter((flag) => !process.execArgv.includes(flag));
  if (missing.length > 0) becomeAgain(missing);
}
