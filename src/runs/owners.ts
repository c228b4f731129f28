/** Maps each background run to its owner token: that of its session, or of its starter. The next front knows it too. */
import type { SessionStore } from "../sessions/store.ts";

export type OwnerStore = Pick<SessionStore, "runOwners" | "runOwned" | "runForgotten">;

/** More than a keeper's remembered runs; beyond these, only `admin` has access. */
const runsMax = 20_000;

export class RunOwners {
  readonly #store: OwnerStore | undefined;
  readonly #owners: Map<string, string>;

  /** Without a store they last only as long as this process. */
  constructor(store?: OwnerStore) {
    this.#store = store;
    this.#owners = new Map((store?.runOwners() ?? []).map(({ run, tokenId }) => [run, tokenId]));
  }

  get(run: string): string | undefined {
    return this.#owners.get(run);
  }

  /** `tokenId` null: it belongs to no token. */
  note(run: string, tokenId: string | null): void {
    if (tokenId === null || this.#owners.has(run)) return;
    this.#owners.set(run, tokenId);
    this.#store?.runOwned(run, tokenId);
    const [oldest] = this.#owners.keys();
    if (this.#owners.size > runsMax && oldest !== undefined) this.forget(oldest);
  }

  forget(run: string): void {
    if (this.#owners.delete(run)) this.#store?.runForgotten(run);
  }
}
