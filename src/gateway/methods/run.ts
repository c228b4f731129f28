/** `run.*`: the keeper's to answer. */
import type { KeeperLink } from "../../keeper/protocol/link.ts";
import type { NamespaceHandlers } from "./handlers.ts";

export function runHandlers(link: KeeperLink): NamespaceHandlers<"run"> {
  return { "run.list": ({ all }) => link.ask("run.list", { all }) };
}
