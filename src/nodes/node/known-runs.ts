/** Maps our runs to the gateway's: request ids on the wire, the keeper's ids behind it. */
import type { RunView } from "../../protocol/run.ts";
import { requestsMax, type RequestedRun } from "../../protocol/background.ts";
import { HoldfastError } from "../../errors.ts";

/** Most runs known before ended ones are forgotten; the keeper keeps the output of fewer. */
const knownMax = 2 * requestsMax;

export class KnownRuns {
  readonly #ids = new Map<string, string>();
  readonly #requests = new Map<string, string>();
  readonly #isLive: (request: string) => boolean;

  constructor(isLive: (request: string) => boolean) {
    this.#isLive = isLive;
  }

  /**
   * A start that was refused before it was on record leaves its request free: the run of the next attempt takes its place. Above
   * the bound the oldest ended run is forgotten; live ones never are.
   */
  learn(request: string, id: string): void {
    const before = this.#ids.get(request);
    if (before === id) return;
    if (before !== undefined) this.#requests.delete(before);
    this.#ids.set(request, id);
    this.#requests.set(id, request);
    if (this.#ids.size <= knownMax) return;
    for (const [oldest, itsId] of this.#ids) {
      if (oldest === request || this.#isLive(oldest)) continue;
      this.#ids.delete(oldest);
      this.#requests.delete(itsId);
      return;
    }
  }

  /** The keeper's id. Throws `run_unknown`. */
  idOf(request: string): string {
    const id = this.#ids.get(request);
    if (id === undefined) throw new HoldfastError("run_unknown", `this node has no run ${request}`);
    return id;
  }

  /** The run as the gateway knows it; undefined for a run of other origin. */
  told(run: RunView): RequestedRun | undefined {
    const named = run.background?.request;
    if (named !== null && named !== undefined) this.learn(named, run.id);
    const request = this.#requests.get(run.id);
    return request === undefined ? undefined : { request, run: { ...run, id: request } };
  }
}

/** Whether the run was started in that epoch of the keeper or later, by its id. */
export function isSinceEpoch({ id }: RunView, epoch: number): boolean {
  return Number(/^r(\d+)-/.exec(id)?.[1] ?? 0) >= epoch;
}
