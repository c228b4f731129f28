/** Ends every contained tree in order before the host obeys a signal. */
import { signalSelf } from "../platform/self/index.ts";
import { containedTrees } from "./contain.ts";

const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * On SIGTERM, SIGINT or SIGHUP: stops every contained tree, waits until all are empty, then lets the signal take
 * effect. A second signal skips the graces. Trees end with the host anyway; this lets them end in order. Disposing the
 * handle removes the handlers. On Windows only Ctrl+C and a closed console arrive as such a signal; `kill` there ends the host at
 * once, and its trees with it.
 */
export function reapOnExit(): Disposable {
  let asked = false;
  const handle = (signal: NodeJS.Signals) => {
    const trees = containedTrees().toReversed();
    if (asked) {
      for (const tree of trees) void tree.kill().catch(() => {}); // the first call reports the outcome
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
