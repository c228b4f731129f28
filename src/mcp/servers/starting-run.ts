/** Ownership of a run during its start: packages may have to be installed, and the client may leave. */
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { Owned, Scope } from "../../ownership/scope.ts";

/**
 * Makes the scope the owner of a start. When the scope ends, the keeper is told to abandon the start, and the scope
 * waits for it. Dispose once the run belongs to the scope, or was refused.
 */
export function holdStart(link: KeeperLink, scope: Scope, server: string, sessionId: string): Disposable {
  const { promise, resolve } = Promise.withResolvers<void>();
  const start: Owned = {
    close() {
      // An unreachable keeper is ending, and its starts with it.
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
