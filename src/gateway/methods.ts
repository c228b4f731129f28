/** What `/rpc` can do. The keeper answers for processes, the front for sessions. */
import { HoldfastError } from "../errors.ts";
import type { KeeperLink } from "../keeper/protocol/link.ts";
import type { SessionSet } from "../sessions/set.ts";
import type { KeeperStatus } from "../keeper/protocol/messages.ts";
import { checkParams, type RpcMethods } from "./rpc.ts";

/** The shape of `status --json`. */
export interface GatewayStatus extends KeeperStatus {
  url: string;
  urls: string[];
  /** Sessions that are open now. */
  sessions: number;
}

export function gatewayMethods(link: KeeperLink, sessions: SessionSet, urls: string[]): RpcMethods {
  return {
    "gateway.status": async (params): Promise<GatewayStatus> => {
      checkParams(params, {});
      const status = await link.ask("gateway.status", {});
      return { ...status, url: urls[0] ?? "", urls, sessions: sessions.size };
    },
    "gateway.stop": (params) => {
      checkParams(params, {});
      return link.ask("gateway.stop", {});
    },
    "gateway.restart": (params) => {
      checkParams(params, { all: "boolean" });
      return link.ask("gateway.restart", { all: params["all"] === true });
    },
    "run.list": (params) => {
      checkParams(params, { all: "boolean" });
      return link.ask("run.list", { all: params["all"] === true });
    },
    "session.list": (params) => {
      checkParams(params, {});
      return sessions.list();
    },
    "session.end": async (params) => {
      checkParams(params, { id: "string" }, ["id"]);
      const { failures } = await sessions.end(params["id"] as string, "session-ended");
      if (failures.length > 0)
        throw new HoldfastError("survivors", failures.map(({ error }) => String(error)).join("; "));
      return null;
    },
  };
}
