/** An MCP server as a node is asked to run it: a command with its streams apart, whose output waits for its reader. */
import type { BackgroundSpec } from "../../protocol/keeper/background.ts";
import { completeSpec } from "../../protocol/keeper/background-spec.ts";
import type { NodePlace } from "../../protocol/keeper/messages.ts";

export function serverSpec(host: string, { argv, cwd, env, limits }: NodePlace, sessionId: string): BackgroundSpec {
  // In the foreground: none of its output is written over that was not read. Who asked what is known to this front alone.
  const asServer = { background: false, streams: "apart", onFrontLoss: "kill", noOutputTimeoutMs: 0 } as const;
  return completeSpec(argv, { host, cwd, env, limits, sessionId, ...asServer });
}
