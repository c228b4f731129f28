/** What one life of a keeper begins with, and how it ends. */
import type { TierName } from "../contain/types.ts";
import type { HoldfastError } from "../errors.ts";
import type { Keeper } from "./keeper.ts";
import type { LiveConfig } from "./live-config.ts";
import type { RunView } from "./protocol/messages.ts";

export interface KeeperOptions {
  state: string;
  live: LiveConfig;
  /** Take this tier or fail; undefined = the best there is. */
  tier?: TierName | undefined;
  /** Runs whenever a front begins to listen: the first time, and after each restart. */
  onListening: (keeper: Keeper, restarts: number) => void;
}

/** How a keeper's life ended: what could not be ended, and what to do next. */
export interface KeeperEnd {
  survivors: RunView[];
  error: HoldfastError | undefined;
  again: boolean;
}
