/** The Node.js flags of a keeper, and the step that replaces this process by one with these flags. */
import { becomeAgain } from "../platform/self/index.ts";

/**
 * Another process of this user could signal the inspector open and run code in the keeper, so it is disabled. The heap
 * limits keep memory flat: V8 would grow the heap for a burst of sessions and not shrink it afterwards.
 */
export const keeperFlags: readonly string[] = [
  "--disable-sigusr1",
  "--max-semi-space-size=1",
  "--max-old-space-size=256",
  "--disable-warning=ExperimentalWarning",
];

/** Replaces this process once, or stays in front of its replacement; does nothing in the replacement. */
export async function becomeKeeper(): Promise<void> {
  const missing = keeperFlags.filter((flag) => !process.execArgv.includes(flag));
  if (missing.length > 0) await becomeAgain(missing);
}
