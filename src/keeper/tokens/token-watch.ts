/** The valid tokens: read at start, and again whenever the directory changes or a token expires. */
import { unwatchFile, watch, watchFile, type FSWatcher } from "node:fs";
import type { TokenGrant } from "../../protocol/keeper/front-config.ts";
import type { Sources } from "../../random.ts";
import type { Clock, Timer } from "../../clock.ts";
import type { Log } from "../log.ts";
import type { StatePaths } from "../state-directory.ts";
import { findTokens, readFirstToken, type TokenRecord } from "./token-files.ts";

/** Polling interval where the system reports no changes. */
const lookMs = 300;

export class TokenWatch {
  readonly #paths: StatePaths;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onChange: (grants: TokenGrant[]) => void;
  readonly #first: TokenGrant;
  #good: TokenRecord[];
  #refusals = new Set<string>();
  #watcher: FSWatcher | undefined;
  #expiry: Timer | undefined;

  /** Throws for a token file that others can write: they could grant themselves access. */
  constructor(paths: StatePaths, log: Log, { clock, random }: Sources, onChange: (grants: TokenGrant[]) => void) {
    this.#paths = paths;
    this.#clock = clock;
    this.#log = log;
    this.#onChange = onChange;
    this.#first = readFirstToken(paths, random);
    const { records, refused } = findTokens(paths);
    const [bad] = refused;
    if (bad !== undefined) throw bad.error;
    this.#good = records.filter((record) => this.#isGood(record));
  }

  /** For the front: digests, never tokens. */
  get grants(): TokenGrant[] {
    const others = this.#good.map(({ id, name, digest, scopes, expiresAt }) => ({
      id,
      name,
      digest,
      scopes,
      expiresAt,
    }));
    return [this.#first, ...others];
  }

  start(): void {
    const look = () => this.reload();
    const poll = () => watchFile(this.#paths.tokens, { interval: lookMs, persistent: false }, look);
    try {
      this.#watcher = watch(this.#paths.tokens, { persistent: false }, look);
      this.#watcher.on("error", poll);
    } catch {
      poll(); // the system has no watches left
    }
    this.#awaitExpiry();
    // Changes since the constructor.
    this.reload();
  }

  /** Reads again; a file that is refused now counts as revoked. */
  reload(): void {
    const before = this.#good;
    const { records, refused } = this.#find();
    this.#good = records.filter((record) => this.#isGood(record));
    for (const { id: token, name, scopes, expiresAt } of this.#good)
      if (!before.some(({ id }) => id === token))
        this.#log.info({ event: "token.added", token, name, scopes, expiresAt });
    const ended = before.filter((old) => !this.#good.some(({ id }) => id === old.id));
    for (const record of ended) {
      const why = this.#isGood(record) ? "revoked" : "expired";
      this.#log.info({ event: "token.ended", token: record.id, name: record.name, why });
    }
    const known = this.#refusals;
    this.#refusals = new Set(refused.map(({ file }) => file));
    for (const { file, error } of refused)
      if (!known.has(file)) this.#log.error({ event: "token.refused", file, error: error.message });
    this.#awaitExpiry();
    if (JSON.stringify(before) !== JSON.stringify(this.#good)) this.#onChange(this.grants);
  }

  #find() {
    try {
      return findTokens(this.#paths);
    } catch (thrown) {
      // The directory itself is not private to us now: ignore its contents.
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      return { records: [], refused: [{ file: this.#paths.tokens, error }] };
    }
  }

  #awaitExpiry(): void {
    this.#expiry?.clear();
    const times = this.#good.flatMap(({ expiresAt }) => (expiresAt === null ? [] : [expiresAt]));
    if (times.length === 0) return;
    const ms = Math.max(0, Math.min(...times) - this.#clock.now()) + 1;
    this.#expiry = this.#clock.after(ms, () => this.reload());
  }

  [Symbol.dispose](): void {
    this.#expiry?.clear();
    this.#watcher?.close();
    unwatchFile(this.#paths.tokens);
  }

  #isGood({ expiresAt }: TokenRecord): boolean {
    return expiresAt === null || expiresAt > this.#clock.now();
  }
}
