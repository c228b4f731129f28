/** Follows the config: applies the keeper's server lists in order, and knows when the last removed server is gone. */
import type { ConfigChange } from "../../protocol/keeper/front-config.ts";
import type { Clock } from "../../clock.ts";
import type { KeeperLink, ServersNews } from "../../protocol/keeper/link.ts";

/** How long the answer to a reload waits for servers that are ending; they continue in the background. */
const endingMsMax = 30_000;

export interface ReloadParts {
  link: KeeperLink;
  clock: Clock;
  /** Applies the servers at once; resolves when the removed ones are gone, and never rejects. */
  take: (news: ServersNews) => Promise<void>;
}

export class ConfigFollower {
  readonly #parts: ReloadParts;
  readonly #ready = Promise.withResolvers<void>();
  readonly #ending = new Set<Promise<void>>();

  /** From now on every message of the keeper is kept. */
  constructor(parts: ReloadParts) {
    this.#parts = parts;
    parts.link.onServers((news) => {
      const ended = this.#ready.promise.then(() => parts.take(news)).finally(() => this.#ending.delete(ended));
      this.#ending.add(ended);
    });
  }

  /** The sessions of the previous front are restored: applies the messages kept so far. */
  begin(): void {
    this.#ready.resolve();
  }

  /** Reloads the config. Rejects with the reason of a refusal; everything then stays unchanged. */
  async reload(): Promise<ConfigChange> {
    const { link, clock } = this.#parts;
    const change = await link.ask("config.reload", {}); // the keeper sent the servers before this answer
    const late = Promise.withResolvers<void>();
    const timer = clock.after(endingMsMax, late.resolve);
    await Promise.race([Promise.all(this.#ending), late.promise]);
    timer.clear();
    return change;
  }
}
