/** Ends every contained tree in order before the host follows a signal, so that servers can say goodbye. */
import { signalSelf } from "../platform/self/index.ts";
import { containedTrees } from "./contain.ts";

const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * On SIGTERM, SIGINT or SIGHUP: stops every contained tree, youngest first begun, waits until all are empty, then lets the
 * signal do what it would have done. A second signal skips the graces. Not needed for the trees to end (they end with the
 * host however it ends), only for them to end in good order. Returns a handle whose disposal takes the handlers away.
 */
export function reapOnExit(): Disposable {
  let asked = false;
  const handle = (signal: NodeJS.Signals) => {
    const trees = containedTrees().toReversed();
    if (asked) {
      for (const tree of trees) void tree.kill().catch(() => {}); // the first call tells the outcome
      return;
    }
    asked = true;
    void Promise.allSettled(trees.map((tree) => tree.stop())).then(() => {
      remove();
      signalSelf(signal);
    });
  };
  const remove = () => {
    for (const signal of signals) process.off(signal, handle);
  };
  for (const signal of signals) process.on(signal, handle);
  return { [Symbol.dispose]: remove };
}
