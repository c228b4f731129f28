/** Options of one keeper life, and how it ends. */
import type { RunView } from "../protocol/run.ts";
import type { TierName } from "../platform/types.ts";
import type { HoldfastError } from "../errors.ts";
import type { AskPerson } from "./background/consent.ts";
import type { LiveConfig } from "./live-config.ts";
import type { KeeperSources } from "./own-process.ts";
import type { NodeProgress, NodeSettings } from "../protocol/keeper/node.ts";

export interface KeeperOptions {
  sources: KeeperSources;
  state: string;
  live: LiveConfig;
  /** Require this tier; undefined = the best available. */
  tier?: TierName | undefined;
  /** Set on a node, whose front dials a gateway instead of listening. */
  node?: NodeRole | undefined;
  /** Runs whenever a front begins to listen: at first, and after each restart. */
  onListening: (restarts: number) => void;
}

interface NodeRole {
  /** The program of the front. */
  entry: string;
  settings: Omit<NodeSettings, "tier">;
  onProgress: (progress: NodeProgress) => void;
  /** Asks the person at the terminal about commands outside the lists; undefined = they are refused. */
  askPerson: AskPerson | undefined;
}

/** The requested end of a keeper's life. */
export interface RequestedEnd {
  error: HoldfastError | undefined;
  /** Start everything again afterwards: `restart --all`. */
  again: boolean;
  /** Exit code of a node that ran one command. */
  exitCode: number | null;
}

/** How a keeper's life ended: the survivors and what to do next. */
export interface KeeperEnd extends RequestedEnd {
  survivors: RunView[];
}

/**
 * The requested end. A second request joins the first: a failure overrides a stop, and a stop overrides `restart --all`, in any
 * order.
 */
export class Ending {
  #asked: RequestedEnd = { error: undefined, again: false, exitCode: null };
  #closing: Promise<void> | undefined;

  get isUnderWay(): boolean {
    return this.#closing !== undefined;
  }

  get asked(): RequestedEnd {
    return this.#asked;
  }

  /** Runs `close` for the first request only; later requests get its promise. */
  request(given: Partial<RequestedEnd>, close: () => Promise<void>): Promise<void> {
    const later = { error: undefined, again: false, exitCode: null, ...given };
    const first = this.#asked;
    if (this.#closing === undefined) this.#asked = later;
    else this.#asked = { ...first, error: first.error ?? later.error, again: first.again && later.again };
    this.#closing ??= close();
    return this.#closing;
  }
}
