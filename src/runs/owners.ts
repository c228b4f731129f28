/** Which token each background run belongs to: that of its session, or else the one that started it. Known to the next front too. */
import type { SessionStore } from "../sessions/store.ts";

type OwnerStore = Pick<SessionStore, "runOwners" | "runOwned" | "runForgotten">;

/** More than the runs that a keeper remembers; of those beyond, only `admin` may do anything. */
const runsMax = 20_000;

export class RunOwners {
  readonly #store: OwnerStore | undefined;
  readonly #owners: Map<string, string>;

  /** Without a store they are forgotten with this process. */
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
