/** What one life of a keeper begins with, and how it ends. */
import type { Config } from "../config/schema.ts";
import type { TierName } from "../contain/types.ts";
import type { HoldfastError } from "../errors.ts";
import type { Keeper } from "./keeper.ts";
import type { RunView } from "./protocol/messages.ts";

export interface KeeperOptions {
  state: string;
  config: Config;
  /** Where the config was read, absolute; undefined = there was none. */
  configFile: string | undefined;
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
