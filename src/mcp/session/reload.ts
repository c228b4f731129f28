/** Follows the config: takes the servers that the keeper tells of, in order, and knows when the last of the old ones is gone. */
import type { Clock } from "../../clock.ts";
import type { KeeperLink, ServersNews } from "../../protocol/keeper/link.ts";
import type { ConfigChange } from "../../protocol/keeper/messages.ts";

/** How long the answer to a reload waits for servers that are ending; they go on ending by themselves. */
const endingMsMax = 30_000;

export interface ReloadParts {
  link: KeeperLink;
  clock: Clock;
  /** Takes the servers at once; resolves when what is not offered any more is gone, and never rejects. */
  take: (news: ServersNews) => Promise<void>;
}

export class ConfigFollower {
  readonly #parts: ReloadParts;
  readonly #ready = Promise.withResolvers<void>();
  readonly #ending = new Set<Promise<void>>();

  /** From now on nothing that the keeper tells is lost. */
  constructor(parts: ReloadParts) {
    this.#parts = parts;
    parts.link.onServers((news) => {
      const ended = this.#ready.promise.then(() => parts.take(news)).finally(() => this.#ending.delete(ended));
      this.#ending.add(ended);
    });
  }

  /** The sessions of the front before are whole: what was told meanwhile is taken. */
  begin(): void {
    this.#ready.resolve();
  }

  /** Has the config read anew. Rejects with why it is refused; then all is as it was. */
  async reload(): Promise<ConfigChange> {
    const { link, clock } = this.#parts;
    const change = await link.ask("config.reload", {}); // the servers were told before this
    const late = Promise.withResolvers<void>();
    const timer = clock.after(endingMsMax, late.resolve);
    await Promise.race([Promise.all(this.#ending), late.promise]);
    timer.clear();
    return change;
  }
}
