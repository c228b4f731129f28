/** Which of Holdfast's own tools there are, and for whom: what the config names no scope for is not there at all. */
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { FrontConfig, TokenScope } from "../../protocol/keeper/messages.ts";
import type { RunService } from "../../runs/service.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { Nodes } from "../../nodes/gateway/nodes.ts";
import { execTool } from "./exec.ts";
import { nodesTool } from "./nodes.ts";
import { processTool } from "./process.ts";
import { sessionsTool, statusTool } from "./looks.ts";
import type { OwnTool } from "./tool.ts";

interface Offer {
  tool: OwnTool;
  scope: TokenScope;
}

export class OwnTools {
  readonly #offers: Map<string, Offer>;

  constructor(offers: Offer[]) {
    this.#offers = new Map(offers.map((offer) => [offer.tool.name, offer]));
  }

  /** Those that a token with these scopes may see and call. */
  for(scopes: ReadonlySet<TokenScope>): OwnTool[] {
    return [...this.#offers.values()].filter(({ scope }) => scopes.has(scope)).map(({ tool }) => tool);
  }

  /** Undefined also when there is one, for other scopes: who may not call it does not learn of it. */
  find(name: string, scopes: ReadonlySet<TokenScope>): OwnTool | undefined {
    const offer = this.#offers.get(name);
    return offer !== undefined && scopes.has(offer.scope) ? offer.tool : undefined;
  }
}

export interface OwnToolParts {
  link: Pick<KeeperLink, "ask">;
  runs: RunService;
  sessions: SessionSet;
  nodes: Nodes;
}

export function ownTools(config: FrontConfig["tools"], { link, runs, sessions, nodes }: OwnToolParts): OwnTools {
  const makers: Record<keyof FrontConfig["tools"], () => OwnTool[]> = {
    exec: () => [execTool(runs), processTool(runs)],
    sessions: () => [sessionsTool(sessions)],
    status: () => [statusTool(link, sessions)],
    nodes: () => [nodesTool({ nodes, runs })],
  };
  const offers = (["exec", "sessions", "status", "nodes"] as const).flatMap((key) => {
    const scope = config[key];
    return scope === false ? [] : makers[key]().map((tool) => ({ tool, scope }));
  });
  return new OwnTools(offers);
}
