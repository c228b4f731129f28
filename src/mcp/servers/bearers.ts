/** One bearer per remote server with a login, shared by all sessions. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { Clock } from "../../clock.ts";
import { Bearer } from "../../oauth/bearer.ts";

export class Bearers {
  readonly #frontDirectory: string;
  readonly #clock: Clock;
  readonly #bearers = new Map<string, Bearer>();

  constructor(frontDirectory: string, clock: Clock) {
    this.#frontDirectory = frontDirectory;
    this.#clock = clock;
  }

  /** Undefined for a server without a login: its credentials are in the config, or it has none. */
  of({ name, url, oauth }: FrontServer): Bearer | undefined {
    if (oauth !== true || url === undefined) return undefined;
    const key = `${name} ${url}`;
    let bearer = this.#bearers.get(key);
    if (bearer === undefined) {
      const now = () => this.#clock.now();
      bearer = new Bearer({ server: name, url, frontDirectory: this.#frontDirectory, now });
      this.#bearers.set(key, bearer);
    }
    return bearer;
  }
}
