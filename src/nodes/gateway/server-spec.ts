/** An MCP server as a node is asked to run it: a command with its streams apart, whose output waits for its reader. */
import type { BackgroundSpec } from "../../protocol/keeper/background.ts";
import type { NodePlace } from "../../protocol/keeper/messages.ts";

export function serverSpec(host: string, { argv, cwd, env, limits }: NodePlace, sessionId: string): BackgroundSpec {
  return {
    kind: "exec",
    argv,
    host,
    cwd,
    env,
    sessionId,
    scopeKey: null,
    replaceExistingScope: false,
    // In the foreground: none of its output is written over that was not read.
    background: false,
    streams: "apart",
    request: null,
    leaseMs: 0,
    // Who asked what is known to this front alone.
    onFrontLoss: "kill",
    keepMs: null,
    timeoutMs: 0,
    noOutputTimeoutMs: 0,
    maxLifetimeMs: 0,
    descendants: "reap",
    size: { columns: 80, rows: 24 },
    stdin: true,
    limits,
  };
}
