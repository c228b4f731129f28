/** `node.*`: other machines. */
import type { Nodes } from "../../nodes/gateway/nodes.ts";
import { invoke } from "../../runs/invoke.ts";
import type { RunService } from "../../runs/service.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { NamespaceHandlers } from "./handlers.ts";
import { showRuns } from "./run.ts";

export function nodeHandlers(
  nodes: Nodes,
  runs: RunService,
  sessions: SessionSet,
  urls: string[],
): NamespaceHandlers<"node"> {
  return {
    "node.list": () => nodes.list(),
    "node.describe": ({ node }, caller) => {
      const described = nodes.describe(node);
      return { ...described, runs: showRuns(described.runs, sessions, caller) };
    },
    "node.invoke": async ({ node, stdin, ...start }, caller) => {
      const input = stdin === undefined ? undefined : Buffer.from(stdin);
      const invocation = { ...start, input, host: nodes.nameOf(node), lost: caller.lost };
      const { stdout, stderr, ...rest } = await invoke(runs, invocation, { asker: caller });
      return { ...rest, stdout: stdout.toString("utf8"), stderr: stderr.toString("utf8") };
    },
    "node.pending": () => nodes.list().filter(({ state }) => state === "pending"),
    "node.approve": ({ node, name }) => nodes.approve(node, name),
    "node.reject": ({ node }) => nodes.reject(node),
    "node.revoke": ({ node }) => nodes.revoke(node),
    "node.forget": ({ node }) => nodes.forget(node),
    "node.rename": ({ node, name }) => nodes.rename(node, name),
    "node.invite": ({ name, validMs }) => {
      const { secret, expiresAt } = nodes.invite(validMs, name ?? null);
      return { invite: secret, expiresAt, urls, fingerprint: nodes.fingerprint };
    },
  };
}
