/** What a background run is to be, whole: `true` in the background, unless it is said otherwise. */
import type { BackgroundSpec } from "../../src/protocol/keeper/background.ts";

export function backgroundSpec(given: Partial<BackgroundSpec> = {}): BackgroundSpec {
  return {
    kind: "exec",
    argv: ["true"],
    host: "local",
    cwd: null,
    env: {},
    sessionId: null,
    scopeKey: null,
    replaceExistingScope: false,
    background: true,
    streams: "merged",
    request: null,
    leaseMs: 0,
    onFrontLoss: "keep",
    keepMs: null,
    timeoutMs: 0,
    noOutputTimeoutMs: null,
    maxLifetimeMs: 0,
    descendants: "reap",
    size: { columns: 80, rows: 24 },
    stdin: true,
    limits: {},
    ...given,
  };
}
