/** The read-only tools `sessions` and `status`: the state of the gateway, for an agent. */
import { z } from "zod";
import { describeIssues, plainIssue } from "../../plain-issues.ts";
import { asHoldfastError } from "../../errors.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import { shortId } from "../../sessions/owner.ts";
import type { SessionSet } from "../../sessions/set.ts";
import { errorResult, textResult, type OwnTool } from "./tool.ts";

/** A model cannot act as a client, so it sees shortened ids. */
const noScopes: ReadonlySet<never> = new Set();
const anyCaller = { id: "", scopes: noScopes };

const nothing = z.strictObject({});

export function sessionsTool(sessions: SessionSet): OwnTool {
  return looking("sessions", "List the open sessions of the gateway: client, server, runs, times.", async (own) => {
    const yours = shortId(own);
    return { sessions: sessions.list(anyCaller).map((view) => ({ ...view, isYours: view.id === yours })) };
  });
}

export function statusTool(link: Pick<KeeperLink, "ask">, sessions: SessionSet): OwnTool {
  return looking("status", "Show the gateway's state: version, processes, containment tier, live runs.", async () => {
    const status = await link.ask("gateway.status", {});
    return { ...status, sessions: sessions.size };
  });
}

/** A tool without parameters that answers with an object. */
function looking(
  name: string,
  description: string,
  look: (sessionId: string) => Promise<Record<string, unknown>>,
): OwnTool {
  return {
    name,
    description,
    inputSchema: z.toJSONSchema(nothing),
    annotations: { readOnlyHint: true },
    async call(args, { session }) {
      const checked = nothing.safeParse(args ?? {}, { error: plainIssue });
      if (!checked.success) return errorResult(describeIssues(checked.error.issues).join("; "));
      try {
        const found = await look(session.id);
        return textResult(JSON.stringify(found, null, 1), found);
      } catch (thrown) {
        const { code, message } = asHoldfastError(thrown);
        return errorResult(message, { status: "failed", code });
      }
    },
  };
}
