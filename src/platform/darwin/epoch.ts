/** One keeper life on macOS: the containers of its tier, its guardian, and the sweeps, which go by the marker on both tiers. */
import { markerOf, runIdPrefix } from "../marker.ts";
import { endStrays, sweepOwner } from "../sweep.ts";
import type { Container, Epoch, Swept, Watchdog } from "../types.ts";
import { ChainContainer } from "./container.ts";
import type { Darwin } from "./darwin.ts";

/** The tier-specific part. */
export interface DarwinFence {
  readonly tier: "chain" | "coalition";
  readonly proof: Epoch["proof"];
  create(runId: string): Container;
  /** Ends what earlier epochs of the owner left in fences. Never rejects. */
  sweep(boundMs: number): Promise<Swept>;
  /** At an orderly end. */
  close(): void;
}

export interface DarwinEpochOptions {
  readonly darwin: Darwin;
  readonly ownerId: string;
  readonly epoch: number;
  readonly fence: DarwinFence;
}

export class DarwinEpoch implements Epoch {
  readonly #darwin: Darwin;
  readonly #ownerId: string;
  readonly #prefix: string;
  readonly #fence: DarwinFence;

  constructor({ darwin, ownerId, epoch, fence }: DarwinEpochOptions) {
    this.#darwin = darwin;
    this.#ownerId = ownerId;
    this.#prefix = runIdPrefix(epoch);
    this.#fence = fence;
  }

  get tier(): DarwinFence["tier"] {
    return this.#fence.tier;
  }

  get proof(): Epoch["proof"] {
    return this.#fence.proof;
  }

  create(runId: string): Container {
    return this.#fence.create(runId);
  }

  watchdog(): Watchdog {
    return this.#darwin.system.startGuardian(markerOf(this.#ownerId, this.#prefix));
  }

  async sweepEarlier(boundMs: number): Promise<Swept> {
    const fenced = await this.#fence.sweep(boundMs);
    const isOwn = (runId: string) => runId.startsWith(this.#prefix);
    const marked = await sweepOwner(this.#darwin, this.#ownerId, isOwn, boundMs);
    return { ended: [...fenced.ended, ...marked.ended], left: [...fenced.left, ...marked.left] };
  }

  endStrays(isHeld: (runId: string) => boolean, boundMs: number): Promise<Swept> {
    const isStray = (runId: string) => runId.startsWith(this.#prefix) && !isHeld(runId);
    return endStrays(this.#darwin, () => this.#darwin.markerScans.soon(this.#ownerId), isStray, boundMs);
  }

  close(): void {
    this.#fence.close();
  }
}

/** Runs without a fence: a keeper's death takes the memory of their chains, and leaves the marker. */
export function chainFence(darwin: Darwin, ownerId: string): DarwinFence {
  return {
    tier: "chain",
    proof: "scan",
    create: (runId) => new ChainContainer({ darwin, ownerId, runId }),
    sweep: async () => ({ ended: [], left: [] }),
    close: () => {},
  };
}
