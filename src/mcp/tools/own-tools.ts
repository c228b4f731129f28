/** Selects Holdfast's own tools per caller: a tool without a scope in the config does not exist. */
import type { FrontConfig, TokenScope } from "../../protocol/keeper/front-config.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
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

  /** The tools for a token with these scopes. */
  for(scopes: ReadonlySet<TokenScope>): OwnTool[] {
    return [...this.#offers.values()].filter(({ scope }) => scopes.has(scope)).map(({ tool }) => tool);
  }

  /** Undefined also for a tool of other scopes: its existence stays hidden. */
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
