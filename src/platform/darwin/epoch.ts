/** One keeper life on the `chain` tier. Its death takes the memory of the chains; what is left is swept by the marker. */
import { markerOf, runIdPrefix } from "../marker.ts";
import { endStrays, sweepOwner } from "../sweep.ts";
import type { Container, Epoch, Swept, Watchdog } from "../types.ts";
import { ChainContainer } from "./container.ts";
import type { Darwin } from "./darwin.ts";

export class ChainEpoch implements Epoch {
  readonly tier = "chain";
  readonly proof = "scan";
  readonly #darwin: Darwin;
  readonly #ownerId: string;
  readonly #prefix: string;

  constructor(darwin: Darwin, ownerId: string, epoch: number) {
    this.#darwin = darwin;
    this.#ownerId = ownerId;
    this.#prefix = runIdPrefix(epoch);
  }

  create(runId: string): Container {
    return new ChainContainer({ darwin: this.#darwin, ownerId: this.#ownerId, runId });
  }

  watchdog(): Watchdog {
    return this.#darwin.system.startGuardian(markerOf(this.#ownerId, this.#prefix));
  }

  sweepEarlier(boundMs: number): Promise<Swept> {
    return sweepOwner(this.#darwin, this.#ownerId, (runId) => runId.startsWith(this.#prefix), boundMs);
  }

  endStrays(isHeld: (runId: string) => boolean, boundMs: number): Promise<Swept> {
    const isStray = (runId: string) => runId.startsWith(this.#prefix) && !isHeld(runId);
    return endStrays(this.#darwin, () => this.#darwin.markerScans.soon(this.#ownerId), isStray, boundMs);
  }

  close(): void {} // there is no fence to remove
}
