/** The time between the wish for a run and the run: its packages may have to be installed, and whoever wants it may leave. */
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { Owned, Scope } from "../../ownership/scope.ts";

/**
 * Makes the scope the owner of a start. When the scope ends, the keeper is told that nobody waits any more, and the scope
 * is not over before the start is. Dispose once the run belongs to the scope, or was refused.
 */
export function holdStart(link: KeeperLink, scope: Scope, server: string, sessionId: string): Disposable {
  const { promise, resolve } = Promise.withResolvers<void>();
  const start: Owned = {
    close() {
      // A keeper that cannot take the word is going, and its starts with it.
      link.ask("run.abandon", { server, sessionId }).catch(() => {});
      return promise;
    },
  };
  scope.add(start, `start of ${server}`);
  return {
    [Symbol.dispose]() {
      scope.release(start);
      resolve();
    },
  };
}
