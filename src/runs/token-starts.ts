/** Starts outside sessions by tokens that do not govern the gateway: a scope key there is its token's own. */
import type { BackgroundSpec } from "../keeper/protocol/background.ts";
import type { RunView } from "../keeper/protocol/messages.ts";
import { Lanes } from "../lanes.ts";
import type { Log } from "../log.ts";
import type { Keeper } from "./keeper.ts";
import type { RunOwners } from "./owners.ts";

export interface TokenStartsParts {
  link: Keeper;
  log: Log;
  owners: RunOwners;
  /** Resolves when the run is gone; rejects when it could not be ended. */
  end: (run: string) => Promise<unknown>;
}

export class TokenStarts {
  readonly #parts: TokenStartsParts;
  readonly #lanes = new Lanes();

  constructor(parts: TokenStartsParts) {
    this.#parts = parts;
  }

  /** With `replaceExistingScope` what the token itself runs under the key is ended first, and nothing of other tokens. */
  async start(spec: BackgroundSpec, tokenId: string): Promise<RunView> {
    const { link, log, owners, end } = this.#parts;
    const { scopeKey } = spec;
    if (scopeKey === null || !spec.replaceExistingScope) return link.ask("exec.start", spec);
    return this.#lanes.pass(JSON.stringify([tokenId, scopeKey]), async () => {
      const live = await link.ask("run.list", { all: false });
      const isReplaced = ({ id, sessionId, scopeKey: key }: RunView) =>
        sessionId === null && key === scopeKey && owners.get(id) === tokenId;
      const replaced = live.filter(isReplaced).map(({ id }) => id);
      for (const run of replaced) await end(run);
      const { id: run, ...rest } = await link.ask("exec.start", { ...spec, replaceExistingScope: false });
      // Before the next start may look for what it replaces.
      owners.note(run, tokenId);
      for (const old of replaced) log("scope.replaced", { session: null, scopeKey, run, replaced: old });
      return { id: run, ...rest };
    });
  }
}
