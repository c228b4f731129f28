/** What one life of a keeper begins with, and how it ends. */
import type { Sources } from "../random.ts";
import type { TierName } from "../platform/types.ts";
import type { HoldfastError } from "../errors.ts";
import type { AskPerson } from "./background/consent.ts";
import type { LiveConfig } from "./live-config.ts";
import type { RunView } from "../protocol/keeper/messages.ts";
import type { NodeProgress, NodeSettings } from "../protocol/keeper/node.ts";

export interface KeeperOptions {
  sources: Sources;
  state: string;
  live: LiveConfig;
  /** Take this tier or fail; undefined = the best there is. */
  tier?: TierName | undefined;
  /** This keeper is a node: its front dials a gateway instead of listening. */
  node?: NodeRole | undefined;
  /** Runs whenever a front begins to listen: the first time, and after each restart. */
  onListening: (restarts: number) => void;
}

interface NodeRole {
  /** The program of the front. */
  entry: string;
  settings: Omit<NodeSettings, "tier">;
  onProgress: (progress: NodeProgress) => void;
  /** Asks the person at the terminal about what the lists do not allow; undefined = it is refused. */
  askPerson: AskPerson | undefined;
}

/** How a keeper's life is to end. */
export interface RequestedEnd {
  error: HoldfastError | undefined;
  /** Everything is started again afterwards: `restart --all`. */
  again: boolean;
  /** Of a node that took one run: the code of that. */
  exitCode: number | null;
}

/** How a keeper's life ended: what could not be ended, and what to do next. */
export interface KeeperEnd extends RequestedEnd {
  survivors: RunView[];
}

/**
 * The end that was asked for. While one is under way another one joins it: a failure stands over a stop, and a stop over
 * `restart --all`, whichever came first.
 */
export class Ending {
  #asked: RequestedEnd = { error: undefined, again: false, exitCode: null };
  #closing: Promise<void> | undefined;

  get isUnderWay(): boolean {
    return this.#closing !== undefined;
  }

  /** As it stands now. */
  get asked(): RequestedEnd {
    return this.#asked;
  }

  /** `close` runs for the first request only; all get its promise. */
  request(given: Partial<RequestedEnd>, close: () => Promise<void>): Promise<void> {
    const later = { error: undefined, again: false, exitCode: null, ...given };
    const first = this.#asked;
    if (this.#closing === undefined) this.#asked = later;
    else this.#asked = { ...first, error: first.error ?? later.error, again: first.again && later.again };
    this.#closing ??= close();
    return this.#closing;
  }
}
