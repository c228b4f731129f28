/** One keeper life on the `coalition` tier of macOS. */
import { runIdPrefix } from "../marker.ts";
import type { Container, Epoch, Swept, Watchdog } from "../types.ts";
import { CoalitionContainer } from "./coalition.ts";
import { CoalitionGuardian } from "./coalition-guardian.ts";
import { sweepJobs } from "./coalition-sweep.ts";
import type { CoalitionParts } from "./coalition-tree.ts";
import { guardianName } from "./job.ts";

export class CoalitionEpoch implements Epoch {
  readonly tier = "coalition";
  readonly proof = "kernel";
  readonly #parts: CoalitionParts;
  readonly #ownerId: string;
  readonly #epoch: number;
  readonly #prefix: string;

  constructor(parts: CoalitionParts, ownerId: string, epoch: number) {
    this.#parts = parts;
    this.#ownerId = ownerId;
    this.#epoch = epoch;
    this.#prefix = runIdPrefix(epoch);
  }

  create(runId: string): Container {
    return new CoalitionContainer(this.#parts, this.#ownerId, runId);
  }

  watchdog(): Watchdog {
    return new CoalitionGuardian(this.#parts, this.#ownerId, this.#epoch);
  }

  sweepEarlier(boundMs: number): Promise<Swept> {
    const own = guardianName(this.#epoch);
    const isEarlier = (name: string) => !name.startsWith(this.#prefix) && name !== own;
    return sweepJobs(this.#parts, this.#ownerId, isEarlier, boundMs);
  }

  endStrays(isHeld: (runId: string) => boolean, boundMs: number): Promise<Swept> {
    const isStray = (name: string) => name.startsWith(this.#prefix) && !isHeld(name);
    return sweepJobs(this.#parts, this.#ownerId, isStray, boundMs);
  }

  close(): void {} // each job goes with its run, and the guardian's with its dismissal
}
