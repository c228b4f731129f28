/** `gateway.*`: the keeper answers for processes, the front for sessions. */
import type { KeeperLink } from "../../keeper/protocol/link.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { NamespaceHandlers } from "./handlers.ts";

export function gatewayHandlers(link: KeeperLink, sessions: SessionSet, urls: string[]): NamespaceHandlers<"gateway"> {
  return {
    "gateway.status": async () => {
      const status = await link.ask("gateway.status", {});
      return { ...status, url: urls[0] ?? "", urls, sessions: sessions.size };
    },
    "gateway.ping": ({ data }) => ({ data }),
    "gateway.stop": () => link.ask("gateway.stop", {}),
    "gateway.restart": ({ all }) => link.ask("gateway.restart", { all }),
  };
}
