/** One keeper life on Linux: the fences of its tier, its guardian, and the sweeps, which all tiers share. */
import { markerOf, runIdPrefix } from "../marker.ts";
import { endStrays, sweepOwner } from "../sweep.ts";
import type { Container, Epoch, Swept, TierName, Watchdog } from "../types.ts";
import { startGuardian } from "./guardian.ts";
import { markerScans } from "./marked.ts";
import { system } from "./system.ts";

/** The tier-specific part. */
export interface Fence {
  readonly tier: TierName;
  create(runId: string): Container;
  /** Arguments FENCE, HOME and CONTROLLER... of guardian.sh. */
  readonly guardianWords: readonly string[];
  /** Ends remains of the owner's other epochs in containers. Never rejects. */
  sweep(boundMs: number): Promise<Swept>;
  /** Removes the epoch's own fence at an orderly end. */
  close(): void;
}

export class LinuxEpoch implements Epoch {
  readonly proof = "kernel";
  readonly #ownerId: string;
  readonly #prefix: string;
  readonly #fence: Fence;

  constructor(ownerId: string, epoch: number, fence: Fence) {
    this.#ownerId = ownerId;
    this.#prefix = runIdPrefix(epoch);
    this.#fence = fence;
  }

  get tier(): TierName {
    return this.#fence.tier;
  }

  create(runId: string): Container {
    return this.#fence.create(runId);
  }

  watchdog(): Watchdog {
    const marker = markerOf(this.#ownerId, this.#prefix);
    return startGuardian({ words: [marker, ...this.#fence.guardianWords] });
  }

  async sweepEarlier(boundMs: number): Promise<Swept> {
    const fenced = await this.#fence.sweep(boundMs);
    const marked = await sweepOwner(system, this.#ownerId, (runId) => runId.startsWith(this.#prefix), boundMs);
    return { ended: [...fenced.ended, ...marked.ended], left: [...fenced.left, ...marked.left] };
  }

  endStrays(isHeld: (runId: string) => boolean, boundMs: number): Promise<Swept> {
    const isStray = (runId: string) => runId.startsWith(this.#prefix) && !isHeld(runId);
    return endStrays(system, () => markerScans.soon(this.#ownerId), isStray, boundMs);
  }

  close(): void {
    this.#fence.close();
  }
}
