/** What background runs need of the keeper: that it answers. */
import type { KeeperLink } from "../keeper/protocol/link.ts";

export type Keeper = Pick<KeeperLink, "ask">;
